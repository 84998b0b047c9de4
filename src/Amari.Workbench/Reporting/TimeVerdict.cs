using Amari.Training;

namespace Amari.Reporting;

/// <summary>Who reached the target first, in words. Times are compared by their logarithms; a run that missed the target counts with its
/// whole budget. On a busy machine steps take the place of seconds.</summary>
internal sealed class TimeVerdict
{
    private readonly BenchmarkResult _comparison;
    private readonly bool _bySteps;
    private readonly string _target;
    private readonly Contest? _contest;

    /// <param name="comparison">The comparison.</param>
    /// <param name="contenders">The optimizers that had no trouble.</param>
    /// <param name="target">The target in words.</param>
    public TimeVerdict(BenchmarkResult comparison, IReadOnlyList<Summary> contenders, string target)
    {
        (_comparison, _target) = (comparison, target);
        _bySteps = comparison.Runs.Any(Conditions.IsBusy);
        List<TrainingRun> runs = [.. contenders.SelectMany(s => s.Eligible)];
        IsMetAtStart = runs.Count > 0 && runs.TrueForAll(r => r.StepsToTarget == 0);
        if (!IsMetAtStart)
            _contest = Contest.Of(contenders, Cost, s => s.ReachedByAll, (leader, rival) => rival - leader > Math.Log(Contest.LargeFactor));
    }

    /// <summary>Whether every run met the target before its first step: then no time is compared.</summary>
    public bool IsMetAtStart { get; }

    /// <summary>Whether any optimizer reached the target with every seed.</summary>
    public bool IsMade => _contest is not null;

    /// <summary>Whether differences were tested.</summary>
    public bool IsTested => _contest is { IsTested: true };

    /// <summary>Whether a test shows who the winners are: that a rival is worse, or that they are about equal. Otherwise all rivals are far
    /// from the leader, and vary too much for the test.</summary>
    public bool IsShown => _contest is { IsTested: true } c && (Winners.Count > 1 || c.Rivals.Any(r => r.IsBeaten) || !c.Unclear.Any());

    /// <summary>Whether runs in the test missed the target.</summary>
    public bool IsCensored => _contest?.Rivals.Any(r => r.Test.IsPossible && !r.Summary.ReachedByAll) == true;

    /// <summary>The leader, and those that reached the target with every seed and cannot be told apart from it.</summary>
    public IReadOnlyList<Summary> Winners =>
        _contest is null ? [] : [_contest.Leader, .. _contest.Ties.Select(t => t.Summary).Where(s => s.ReachedByAll)];

    /// <summary>The sentences.</summary>
    /// <param name="alone">Whether all other optimizers had trouble.</param>
    /// <param name="endDiffers">Whether another optimizer is best at the end of the budget.</param>
    public IEnumerable<string> Sentences(bool alone, bool endDiffers)
    {
        if (_contest is not { } contest)
            return [];
        string leader = contest.Leader.Optimizer;
        var winner =
            alone ? [$"Use {leader}, the only one without trouble: it reached {_target} in {Cost(contest.Leader)}."]
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
            yield return $"{rival.Name} took {Phrase.Factor(Ratio(rival.Summary, leader))} times {Unit}: {Cost(rival.Summary)}.";
        if (!_bySteps && reached.Count > 0 && Why(leader, reached[0].Summary) is { } why)
            yield return why;
    }

    private IEnumerable<string> Tested(Contest contest, bool endDiffers)
    {
        var leader = contest.Leader;
        string medians = FormattableString.Invariant($"medians of {leader.Eligible.Count} seeds");
        var ties = contest.Ties.Where(t => t.Summary.ReachedByAll).ToList();
        var beaten = contest.Rivals.Where(r => r.IsBeaten).ToList();
        var (where, reached) = endDiffers ? ($" where the time to {_target} counts", "that") : ("", _target);
        List<Rival> unclear = [.. contest.Unclear.Where(t => t.Summary.ReachedByAll)];
        if (ties.Count == 0)
            yield return IsShown
                ? $"Use {leader.Optimizer}{where}: it reached {reached} first, in {Cost(leader)}, {medians}."
                : $"{leader.Optimizer} reached {_target} first, in {Cost(leader)}, {medians}, but no difference is beyond chance.";
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
                : $"{Trouble.Join(names)} cannot be told apart by the {(_bySteps ? "steps" : "time")} to {_target} ({costs}; {medians}).";
        }
        string how = (_bySteps ? "needed more than twice as many steps as " : "took more than twice as long as ") + leader.Optimizer;
        foreach (string sentence in Phrase.Unclear(unclear, how, s => $"{s.Optimizer} ({Cost(s, ", ", "")})"))
            yield return sentence;
        if (ties.Count + unclear.Count > 0)
            yield return Phrase.TiedRatios([.. ties, .. unclear], $"{Unit} as {leader.Optimizer}");
        if (!_bySteps && ties.Count == 0 && contest.Rivals.FirstOrDefault(r => r.Summary.ReachedByAll) is { } second)
            if (Why(leader, second.Summary) is { } why)
                yield return why;
        if (beaten.Count > 0)
            yield return $"{leader.Optimizer} {(_bySteps ? "needs fewer steps" : "is faster")} "
                + $"{Trouble.Join([.. beaten.Select(Phrase.Ratio)])}.";
    }

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
        var missed = contest.Rivals.Where(r => !r.Summary.ReachedByAll).ToList();
        foreach (var rival in missed.Where(r => r.Summary.Reached > 0))
            yield return (
                rival.Summary.SecondsToTarget < leader.SecondsToTarget
                    ? $"{rival.Name} was faster where it reached it ({Cost(rival.Summary, ", ", "")}), but that was with only "
                    : $"{rival.Name} reached the target with only "
            ) + $"{rival.Summary.Share}{Tie(rival)}.";
        var never = missed.Where(r => r.Summary.Reached == 0).ToList();
        foreach (var group in never.GroupBy(Tie))
            yield return $"{Trouble.Join([.. group.Select(r => r.Name)])} did not reach the target within {_comparison.Budget}{group.Key}.";

        string Tie(Rival rival) =>
            rival.Test.IsPossible && !rival.IsBeaten ? $" and cannot be told apart from {leader.Optimizer} by the test" : "";
    }

    private static string Steps(double median) => FormattableString.Invariant($"{median:F0}");

    private string Unit => _bySteps ? "as many steps" : "as long";

    private double Ratio(Summary rival, Summary leader) =>
        _bySteps ? rival.StepsToTarget!.Value / leader.StepsToTarget!.Value : rival.SecondsToTarget!.Value / leader.SecondsToTarget!.Value;

    private string Cost(Summary s, string between = " (", string after = ")") =>
        _bySteps
            ? $"{Steps(s.StepsToTarget!.Value)} steps"
            : $"{Number.Short(s.SecondsToTarget!.Value)} s{between}{Steps(s.StepsToTarget!.Value)} steps{after}";

    /// <summary>The logarithm of the seconds or steps to the target; a target met before the first step counts as one step.</summary>
    private double? Cost(TrainingRun run)
    {
        if (run.Status == RunStatus.Interrupted && run.SecondsToTarget is null)
            return null;
        double least = double.IsFinite(run.MillisecondsPerStep) ? 1e-3 * run.MillisecondsPerStep : double.Epsilon;
        return Math.Log(
            _bySteps
                ? Math.Max(1, run.StepsToTarget ?? run.Steps)
                : Math.Max(least, run.SecondsToTarget ?? _comparison.Budget.Seconds ?? run.Seconds)
        );
    }
}
