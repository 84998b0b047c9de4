using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>Who ended best with the whole budget, in words: by the <see cref="EndQuantity"/>, over the runs that were not
/// stopped.</summary>
internal sealed class EndVerdict
{
    private readonly EndQuantity _quantity;
    private readonly IReadOnlyList<Summary> _contenders;
    private readonly Contest? _contest;
    private readonly string? _refusal; // why ends are not compared

    /// <param name="comparison">The comparison.</param>
    /// <param name="contenders">The optimizers that had no trouble.</param>
    public EndVerdict(BenchmarkResult comparison, IReadOnlyList<Summary> contenders)
    {
        _quantity = EndQuantity.In(comparison, contenders);
        _contenders = contenders;
        if (contenders.Count > 1 && Sources.AgainstEnds(comparison) is { } why)
        {
            _refusal = $"The ends of the runs are not compared, {why}.";
            return;
        }
        _contest = Contest.Of(
            contenders,
            _quantity.Cost,
            s => s.IsComplete && _quantity.IsKnown(s),
            _quantity.IsFar,
            (leader, rival) => _quantity.IsKnown(rival) && !rival.ReachedLessOftenThan(leader)
        );
    }

    /// <summary>Whether differences were tested.</summary>
    public bool IsTested => _contest is { IsTested: true };

    /// <summary>Whether a test shows who the winners are: that a rival is worse, or that they are about equal.</summary>
    public bool IsShown => _contest is { IsShown: true };

    /// <summary>What limits the tests, one sentence each.</summary>
    public IEnumerable<string> Limits =>
        [
            .. _contest is { IsCoarse: true } && _quantity.Step is { } step
                ? (string[])[$"One held-out example is {Number.Short(step)} of the {_quantity.Name}, which limits what the test can show."]
                : [],
            .. Phrase.Untestable(_contest),
        ];

    /// <summary>The optimizers whose value at the end is unknown with some seed, one sentence each.</summary>
    public IEnumerable<string> Unknown =>
        from summary in _contenders
        where summary.IsStable && !_quantity.IsKnown(summary)
        select $"{summary.Optimizer} has no finite {_quantity.Name} at the end with "
            + $"{Trouble.Seeds([.. summary.Runs.Where(r => !double.IsFinite(_quantity.Of(r)))])}.";

    private IEnumerable<string> Refused => _refusal is null ? [] : [_refusal];

    /// <summary>The leader and those that cannot be told apart from it.</summary>
    public IReadOnlyList<Summary> Winners => _contest is null ? [] : [_contest.Leader, .. _contest.Ties.Select(t => t.Summary)];

    /// <summary>Whether an optimizer is better at the end than all others, beyond chance.</summary>
    public bool BeatsAll(Summary one) =>
        _contest is { Rivals.Count: > 0 } contest && contest.Leader.Optimizer == one.Optimizer && contest.Rivals.All(r => r.IsBeaten);

    /// <summary>Whether another optimizer is better at the end than all of those that were first.</summary>
    public bool DiffersFrom(IReadOnlyList<Summary> first) =>
        _contest is { } contest
        && first.Count > 0
        && first.All(f => contest.Rivals.FirstOrDefault(r => r.Name == f.Optimizer) is { IsBeaten: true });

    /// <summary>What the ends of the runs say against the winners by time, as the end of a sentence; null if there is nothing.</summary>
    /// <param name="first">The winners by time.</param>
    public string? Against(IReadOnlyList<Summary> first)
    {
        List<Summary> overfit = _quantity.Name == Target.HeldOutLoss ? [.. first.Where(s => s.IsComplete && Cautions.Overfits(s))] : [];
        bool differs = DiffersFrom(first);
        if (overfit.Count == 0)
            return differs
                ? $"{_contest!.Leader.Optimizer} ends best, at {_quantity.Name} {_quantity.Median(_contest.Leader)} "
                    + $"({string.Join(", ", first.Select(Value))})"
                : null;
        string who = first.Count == 1 ? "it" : Trouble.Join([.. overfit.Select(s => s.Optimizer)]);
        return $"{who} {(overfit.Count == 1 ? "overfits and ends" : "overfit and end")} at "
            + $"{Trouble.Join([.. overfit.Select(_quantity.Median)])} unless stopped early"
            + (differs ? $" ({_contest!.Leader.Optimizer} ends at {_quantity.Median(_contest.Leader)})" : "");
    }

    /// <summary>The verdict if no optimizer reached the target with every seed.</summary>
    /// <param name="missed">Who did not reach what.</param>
    public IEnumerable<string> Alone(string missed)
    {
        if (_contest is not { } contest)
            return [$"{missed}.", .. Refused];
        var leader = contest.Leader;
        string end = $"{_quantity.Name} {_quantity.Median(leader)}";
        return contest.Rivals.Count == 0 ? [$"{missed}; {leader.Optimizer} ended at {end}."]
            : contest.IsTested ? [.. Tested(contest), $"{missed}."]
            :
            [
                $"{missed}; {leader.Optimizer} came closest, at {end} "
                    + $"({string.Join(", ", contest.Rivals.Select(r => $"{r.Name} {_quantity.Median(r.Summary)}"))}).",
            ];
    }

    private IEnumerable<string> Tested(Contest contest)
    {
        var leader = contest.Leader;
        string medians = FormattableString.Invariant($"medians of {leader.Runs.Count} seeds");
        var ties = contest.Ties.ToList();
        var beaten = contest.Rivals.Where(r => r.IsBeaten).ToList();
        List<Rival> unclear = [.. UnclearOf(contest)];
        if (ties.Count == 0)
            yield return IsShown
                ? $"Use {leader.Optimizer}: it {Best(leader)}, {medians}."
                : $"{leader.Optimizer} {Best(leader)}, {medians}, but no difference is beyond chance.";
        else
        {
            string[] names = [leader.Optimizer, .. ties.Select(t => t.Name)];
            string values = string.Join(", ", ties.Select(t => t.Summary).Prepend(leader).Select(Value));
            yield return beaten.Count > 0
                ? $"Use {Trouble.Join(names, "or")}: they ended with the {_quantity.Best} {_quantity.Name} and cannot be told apart "
                    + $"({values}; {medians})."
                : $"{Trouble.Join(names)} cannot be told apart by the {_quantity.Name} at the end ({values}; {medians}).";
        }
        foreach (string sentence in Unclear(contest).Concat(LessOften(contest)))
            yield return sentence;
        if (ties.Count + unclear.Count > 0)
            yield return _quantity.Scale.IsLogarithmic
                ? Phrase.TiedRatios([.. ties, .. unclear], $"as high as {leader.Optimizer}")
                : Phrase.TiedDifferences([.. ties, .. unclear], _quantity.Worse, _quantity.Better, leader.Optimizer);
        if (beaten.Count > 0)
            yield return $"{leader.Optimizer} is better {Trouble.Join([.. beaten.Select(Difference)])}.";
    }

    /// <summary>The ends of the runs, after the verdict on time.</summary>
    /// <param name="first">The winners by time; none if no time was compared.</param>
    public IEnumerable<string> After(IReadOnlyList<Summary> first)
    {
        if (_contest is not { } contest)
            return Refused;
        var leader = contest.Leader;
        bool same = first is [var only] && only.Optimizer == leader.Optimizer;
        string name = leader.Optimizer + (same ? " also" : ""),
            best = Best(leader);
        var slower = contest.Rivals.Where(r => first.Any(f => f.Optimizer == r.Name)).ToList();
        return
        [
            contest.Rivals.Count == 0 ? $"{leader.Optimizer} ended at {_quantity.Name} {_quantity.Median(leader)}."
            : !contest.IsTested
                ? $"{name} {best}{(same || first.Count == 0 ? "" : $" ({string.Join(", ", first.Except([leader]).Select(Value))})")}."
            : DiffersFrom(first)
                ? $"Use {leader.Optimizer} where the end of the budget counts: it {best}; "
                    + $"it is better {Trouble.Join([.. slower.Select(Difference)])}."
            : contest.Ties.Any()
                ? $"At the end of the budget {Trouble.Join([.. Winners.Select(Value)])} cannot be told apart by the {_quantity.Name}."
            : contest.Rivals.All(r => r.IsBeaten) ? $"{name} {best}, better than all others."
            : $"{name} {best}.",
            .. Unclear(contest),
            .. LessOften(contest),
        ];
    }

    private List<Rival> UnclearOf(Contest contest) => [.. contest.Unclear.Where(r => _quantity.IsKnown(r.Summary))];

    private IEnumerable<string> Unclear(Contest contest) =>
        Phrase.Unclear(
            UnclearOf(contest),
            _quantity.Far(contest.Leader.Optimizer),
            $"worse than {contest.Leader.Optimizer}",
            s => $"{s.Optimizer} ({_quantity.Mean(s)})"
        );

    /// <summary>Those that the test does not separate from the leader, but that reached the target less often.</summary>
    private IEnumerable<string> LessOften(Contest contest)
    {
        var leader = contest.Leader;
        List<Summary> all =
        [
            .. from rival in contest.Rivals
            where rival.Test.IsPossible && !rival.IsBeaten && !rival.IsUnclear && _quantity.IsKnown(rival.Summary)
            where rival.Summary.ReachedLessOftenThan(leader)
            select rival.Summary,
        ];
        if (all.Count == 0)
            yield break;
        var (are, them) = all.Count == 1 ? ("is", "it") : ("are", "them");
        yield return $"{Trouble.Join([.. all.Select(Value)])} reached the target less often than {leader.Optimizer}, and {are} not "
            + $"recommended, although the test does not separate {them} by the {_quantity.Name} at the end.";
    }

    private string Difference(Rival rival) => _quantity.Scale.IsLogarithmic ? Phrase.Ratio(rival) : Phrase.Difference(rival);

    private string Best(Summary leader) => $"ended with the {_quantity.Best} {_quantity.Name}, {_quantity.Median(leader)}";

    private string Value(Summary s) => $"{s.Optimizer} {_quantity.Median(s)}";
}
