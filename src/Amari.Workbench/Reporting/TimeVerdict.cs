using Amari.Training;

namespace Amari.Reporting;

/// <summary>Who reached the target first, in words. Times are compared by their logarithms. A run that missed the target counts with
/// the longest time that any run took: at least the budget, so that a run that reached it beats every one that did not. On a busy machine
/// the processor time to the target takes the place of seconds.</summary>
internal sealed class TimeVerdict
{
    private readonly BenchmarkResult _comparison;
    private readonly string _target;
    private readonly Contest? _contest;
    private readonly IReadOnlyList<Summary> _left = []; // not compared
    private readonly double _ceiling; // seconds of a run that missed the target

    /// <param name="comparison">The comparison.</param>
    /// <param name="contenders">The optimizers that had no trouble.</param>
    /// <param name="target">The target in words.</param>
    public TimeVerdict(BenchmarkResult comparison, IReadOnlyList<Summary> contenders, string target)
    {
        (_comparison, _target) = (comparison, target);
        List<TrainingRun> runs = [.. contenders.SelectMany(s => s.Eligible)];
        IsMetAtStart = runs.Count > 0 && runs.TrueForAll(r => r.StepsToTarget == 0);
        bool isBusy = contenders.Count > 1 && runs.Exists(Conditions.IsBusy);
        IsByProcessor = isBusy && runs.TrueForAll(r => Conditions.ProcessorShare(r) is not null);
        if (IsMetAtStart || !contenders.Any(s => s.ReachedByAll))
            return;
        if (contenders.Count > 1 && Sources.AgainstTimes(comparison) is { } why)
            Refusal = $"The times to {target} are not compared, {why}.";
        else if (isBusy && !IsByProcessor)
            Refusal = $"The machine was busy, so the times to {target} are not compared: run it again on an idle machine.";
        if (Refusal is not null)
            return;
        _ceiling = Ceiling(runs);
        bool differ = Sources.BudgetsDiffer(comparison); // then a miss within one says nothing about the other
        _left = differ ? [.. contenders.Where(s => !s.ReachedByAll && s.Eligible.Count > 0)] : [];
        _contest = Contest.Of(
            [.. contenders.Except(_left)],
            Cost,
            s => s.ReachedByAll,
            (leader, rival) => rival - leader > Math.Log(Contest.LargeFactor),
            (_, rival) => rival.ReachedByAll
        );
    }

    /// <summary>Whether every run met the target before its first step: then no time is compared.</summary>
    public bool IsMetAtStart { get; }

    /// <summary>Whether processor time takes the place of seconds.</summary>
    public bool IsByProcessor { get; }

    /// <summary>Why the times are not compared, in one sentence; null if they are, or if there are none.</summary>
    public string? Refusal { get; }

    /// <summary>Whether any optimizer reached the target with every seed.</summary>
    public bool IsMade => _contest is not null;

    /// <summary>Whether differences were tested.</summary>
    public bool IsTested => _contest is { IsTested: true };

    /// <summary>Whether a test shows who the winners are: that a rival is worse, or that they are about equal.</summary>
    public bool IsShown => _contest is { IsShown: true };

    /// <summary>With what runs in the test counted that missed the target; null without any.</summary>
    public string? Censored =>
        _contest?.Rivals.Any(r => r.Test.IsPossible && !r.Summary.ReachedByAll) == true ? $"{Number.Short(_ceiling)} s{Unit}" : null;

    /// <summary>What limits the tests, one sentence each.</summary>
    public IEnumerable<string> Limits =>
        [
            .. _contest is { IsCoarse: true } contest && Spacing(contest) is { } factor
                ? (string[])
                    [
                        $"The target is only looked for at evaluations, there up to a factor of {Phrase.Factor(factor)} in time apart, "
                            + "which limits what the test can show.",
                    ]
                : [],
            .. Phrase.Untestable(_contest),
        ];

    /// <summary>The leader, and those that reached the target with every seed and cannot be told apart from it.</summary>
    public IReadOnlyList<Summary> Winners => _contest is null ? [] : [_contest.Leader, .. _contest.Ties.Select(t => t.Summary)];

    /// <summary>The sentences.</summary>
    /// <param name="alone">Whether all other optimizers had trouble.</param>
    /// <param name="endDiffers">Whether another optimizer is best at the end of the budget.</param>
    public IEnumerable<string> Sentences(bool alone, bool endDiffers)
    {
        if (_contest is not { } contest)
            return [];
        string leader = contest.Leader.Optimizer,
            reached = $"it reached {_target} in {Cost(contest.Leader)}";
        var winner =
            alone
                ?
                [
                    contest.Leader.Eligible.Count > 1
                        ? $"Use {leader}, the only one without trouble: {reached}."
                        : $"{leader} is the only one without trouble: {reached}.",
                ]
            : contest.Rivals.Count == 0 ? [$"{leader} reached {_target} in {Cost(contest.Leader)}."]
            : contest.IsTested ? Tested(contest, endDiffers)
            : Untested(contest);
        return [.. winner, .. Missed(contest)];
    }

    private IEnumerable<string> Untested(Contest contest)
    {
        var leader = contest.Leader;
        yield return $"{leader.Optimizer} was first: it reached {_target} in {Cost(leader)}.";
        var reached = contest.Rivals.Where(r => r.Summary.ReachedByAll).ToList();
        foreach (var rival in reached)
            yield return $"{rival.Name} took {Phrase.Factor(Seconds(rival.Summary)!.Value / Seconds(leader)!.Value)} times as long: "
                + $"{Cost(rival.Summary)}.";
        if (!IsByProcessor && reached.Count > 0 && Why(leader, reached[0].Summary) is { } why)
            yield return why;
    }

    private IEnumerable<string> Tested(Contest contest, bool endDiffers)
    {
        var leader = contest.Leader;
        string medians = FormattableString.Invariant($"medians of {leader.Eligible.Count} seeds");
        var ties = contest.Ties.ToList();
        var beaten = contest.Rivals.Where(r => r.IsBeaten).ToList();
        var (where, reached) = endDiffers ? ($" where the time to {_target} counts", "that") : ("", _target);
        List<Rival> unclear = [.. contest.Unclear.Where(r => r.MayWin)];
        if (ties.Count == 0)
            yield return IsShown
                ? $"Use {leader.Optimizer}{where}: it reached {reached} first, in {Cost(leader)}, {medians}."
                : $"{leader.Optimizer} reached {_target} first, in {Cost(leader)}, {medians}, but no difference in time is beyond chance.";
        else
        {
            string[] names = [leader.Optimizer, .. ties.Select(t => t.Name)];
            string costs = string.Join(
                "; ",
                ties.Select(t => t.Summary).Prepend(leader).Select(s => $"{s.Optimizer} {Cost(s, between: ", ", after: "")}")
            );
            yield return beaten.Count > 0
                ? $"Use {Trouble.Join(names, "or")}{where}: they were first to reach {reached} and cannot be told apart "
                    + $"({costs}; {medians})."
                : $"{Trouble.Join(names)} cannot be told apart by the time to {_target} ({costs}; {medians}).";
        }
        string far = $"took more than twice as long as {leader.Optimizer}",
            worse = $"slower than {leader.Optimizer}";
        foreach (string sentence in Phrase.Unclear(unclear, far, worse, s => $"{s.Optimizer} ({Cost(s, ", ", "")})"))
            yield return sentence;
        if (ties.Count + unclear.Count > 0)
            yield return Phrase.TiedRatios([.. ties, .. unclear], $"as long as {leader.Optimizer}");
        if (!IsByProcessor && ties.Count == 0 && contest.Rivals.FirstOrDefault(r => r.Summary.ReachedByAll) is { } second)
            if (Why(leader, second.Summary) is { } why)
                yield return why;
        if (beaten.Count > 0)
            yield return $"{leader.Optimizer} is faster {Trouble.Join([.. beaten.Select(Beaten)])}.";
    }

    /// <summary>By how much the leader is faster. What all had as a budget of seconds bounds the factor of a run that missed the
    /// target.</summary>
    private string Beaten(Rival rival) =>
        rival.Summary.ReachedByAll ? Phrase.Ratio(rival)
        : _comparison.Budget.Seconds is not null && !IsByProcessor ? Phrase.LeastRatio(rival)
        : Phrase.Missed(rival);

    /// <summary>What the leader owes its place to: fewer steps, or shorter ones; null if neither shows.</summary>
    private static string? Why(Summary leader, Summary second)
    {
        double length = leader.MillisecondsPerStep / second.MillisecondsPerStep;
        if (leader.StepsToTarget is not { } steps || second.StepsToTarget is not { } others || steps == others || !double.IsFinite(length))
            return null;
        string counts = $"steps than {second.Optimizer} ({Steps(steps)} against {Steps(others)})";
        return (steps < others, length > 1) switch
        {
            (true, true) => $"{leader.Optimizer} needs fewer {counts}; each takes {Phrase.Factor(length)} times as long.",
            (true, false) => $"{leader.Optimizer} needs fewer {counts}, and each is no longer.",
            (false, false) => $"{leader.Optimizer} needs more {counts}, but those of {second.Optimizer} take "
                + $"{Phrase.Factor(1 / length)} times as long.",
            _ => null,
        };
    }

    /// <summary>The optimizers that did not reach the target with every seed.</summary>
    private IEnumerable<string> Missed(Contest contest)
    {
        var leader = contest.Leader;
        List<Rival> missed =
        [
            .. contest.Rivals.Where(r => !r.Summary.ReachedByAll),
            .. _left.Select(s => new Rival(s, PairedTest.Of([]), 1, null)),
        ];
        foreach (var rival in missed.Where(r => r.Summary.Reached > 0))
            yield return (
                Seconds(rival.Summary) < Seconds(leader)
                    ? $"{rival.Name} was faster where it reached it ({Cost(rival.Summary, ", ", "")}), but that was with only "
                    : $"{rival.Name} reached the target with only "
            ) + $"{rival.Summary.Share}{Unsure(rival, "it is")}.";
        var never = missed.Where(r => r.Summary.Reached == 0).ToList();
        foreach (var group in never.GroupBy(r => (Within(r), Unsure(r, ""))))
        {
            List<Rival> all = [.. group];
            yield return $"{Trouble.Join([.. all.Select(r => r.Name)])} did not reach the target {group.Key.Item1}"
                + $"{Unsure(all[0], all.Count == 1 ? "it is" : "they are")}.";
        }

        string Within(Rival rival) =>
            $"within {Sources.Budget(_comparison, [rival.Name])}"
            + (rival.Summary.Eligible.Count == 1 ? "" : $" with any of {rival.Summary.Eligible.Count} seeds");

        string Unsure(Rival rival, string itIs) =>
            rival.Test.IsPossible && !rival.IsBeaten
                ? FormattableString.Invariant($"; {rival.Test.Count} seeds are too few for the test to be sure that {itIs} slower")
                    + $" than {leader.Optimizer}"
                : "";
    }

    private static string Steps(double median) => FormattableString.Invariant($"{median:F0}");

    private string Unit => IsByProcessor ? " of processor time" : "";

    private string Cost(Summary s, string between = " (", string after = ")") =>
        $"{Number.Short(Seconds(s)!.Value)} s{Unit}{between}{Steps(s.StepsToTarget!.Value)} steps{after}";

    /// <summary>The median of the seconds to the target; null if it was missed in the median.</summary>
    private double? Seconds(Summary s) =>
        Summary.Median(s.Eligible, r => Seconds(r, r.SecondsToTarget) ?? double.PositiveInfinity) is var median && double.IsFinite(median)
            ? median
            : null;

    /// <summary>Seconds of a run, or the processor's share of them.</summary>
    private double? Seconds(TrainingRun run, double? seconds) => IsByProcessor ? seconds * Conditions.ProcessorShare(run) : seconds;

    /// <summary>Seconds of a run that missed the target: the budget, or the longest time to the target or to a run's end.</summary>
    private double Ceiling(List<TrainingRun> runs) =>
        runs.Select(r => Seconds(r, r.SecondsToTarget ?? r.Seconds)!.Value)
            .Append(IsByProcessor ? 0 : _comparison.Budget.Seconds ?? 0)
            .Max();

    /// <summary>The logarithm of the seconds to the target; a target met before the first step counts as one step. A run that other
    /// processes kept from using its budget of seconds has not missed the target.</summary>
    private MeasuredCost? Cost(TrainingRun run)
    {
        if (run.SecondsToTarget is not { } seconds)
            return run.Status == RunStatus.Interrupted || _comparison.Budget.Seconds is not null && Conditions.IsBusy(run)
                ? null
                : new(Math.Log(_ceiling), 0);
        return new(Math.Log(Seconds(run, Math.Max(Least(run), seconds))!.Value), Resolution(run));
    }

    /// <summary>The logarithm of the time of the evaluation that met the target over that of the one before; null if unknown.</summary>
    private static double? Resolution(TrainingRun run)
    {
        if (run.StepsToTarget == 0)
            return 0;
        int at = run.Losses.ToList().FindIndex(p => p.Step == run.StepsToTarget);
        return at < 1 ? null : Math.Log(Math.Max(1, run.SecondsToTarget!.Value / Math.Max(Least(run), run.Losses[at - 1].Seconds)));
    }

    private static double? Spacing(Contest contest) =>
        contest
            .Rivals.Where(r => r.Test.IsCoarse && !r.IsBeaten)
            .SelectMany(r => r.Summary.Runs.Concat(contest.Leader.Runs))
            .Where(r => r.SecondsToTarget is not null)
            .Max(Resolution)
            is { } factor
            ? Math.Exp(factor)
            : null;

    private static double Least(TrainingRun run) =>
        double.IsFinite(run.MillisecondsPerStep) ? 1e-3 * run.MillisecondsPerStep : double.Epsilon;
}
