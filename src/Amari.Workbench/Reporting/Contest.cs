using Amari.Training;

namespace Amari.Reporting;

/// <summary>One quantity of several optimizers: the leader, tested against every other one by a <see cref="PairedTest"/> over the
/// seeds, with <see cref="Holm"/>'s correction.</summary>
/// <remarks>The leader is chosen by the same data. Among equal optimizers with 3 to 5 seeds, any claim is then made with a probability of
/// 5 % for two of them, 7 % for four and 10 % for nine (simulated, normal differences).</remarks>
internal sealed class Contest
{
    /// <summary>How many times as much a rival costs on average that is not recommended, whatever the test says.</summary>
    public const double LargeFactor = 2;

    /// <summary>From how many seeds on it counts that a rival is worse with all of them.</summary>
    public const int SeedsForAll = 3;

    private const int MaxMoreSeeds = 100;
    private const double Rounding = 1e-12; // of float64 arithmetic, relative

    private Contest(Summary leader, IReadOnlyList<Rival> rivals) => (Leader, Rivals) = (leader, rivals);

    /// <summary>The optimizer with the lowest mean cost.</summary>
    public Summary Leader { get; }

    /// <summary>The others, the lowest mean cost first.</summary>
    public IReadOnlyList<Rival> Rivals { get; }

    /// <summary>Whether any rival could be tested: each side needs two common seeds.</summary>
    public bool IsTested => Rivals.Any(r => r.Test.IsPossible);

    /// <summary>Whether a test shows who the winners are: that a rival is worse, or that some are about equal.</summary>
    public bool IsShown => Rivals.Any(r => r.IsBeaten || r.IsTied);

    /// <summary>The rivals that cannot be told apart from the leader.</summary>
    public IEnumerable<Rival> Ties => Rivals.Where(r => r.IsTied);

    /// <summary>The rivals that are worse in these seeds, and vary too much for the test to exclude them.</summary>
    public IEnumerable<Rival> Unclear => Rivals.Where(r => r.IsUnclear);

    /// <summary>The rivals whose differences from the leader are equal with all seeds, where nothing is known of how finely they were
    /// measured.</summary>
    public IReadOnlyList<Rival> Untestable => [.. Rivals.Where(r => r.Test.Count > 1 && !r.Test.IsPossible)];

    /// <summary>Whether the resolution of the measurement keeps a difference from being shown.</summary>
    public bool IsCoarse => Rivals.Any(r => r.Test is { IsCoarse: true, Mean: > 0 } && !r.IsBeaten);

    /// <param name="contenders">The optimizers.</param>
    /// <param name="cost">What is compared; null where a run does not count.</param>
    /// <param name="mayLead">Whether an optimizer can be the leader.</param>
    /// <param name="isFar">Whether the second of two mean costs is larger by <see cref="LargeFactor"/>; null if none is.</param>
    /// <param name="mayWin">Whether, of the leader and another optimizer, the other can be recommended with it; null if all can.</param>
    /// <returns>Null if no optimizer can lead.</returns>
    public static Contest? Of(
        IReadOnlyList<Summary> contenders,
        Func<TrainingRun, MeasuredCost?> cost,
        Func<Summary, bool> mayLead,
        Func<double, double, bool>? isFar = null,
        Func<Summary, Summary, bool>? mayWin = null
    )
    {
        var costs = contenders
            .Select(s => (Summary: s, BySeed: BySeed(s)))
            .Where(c => c.BySeed.Count > 0)
            .OrderBy(c => c.BySeed.Values.Average(v => v.Value))
            .ToList();
        if (costs.FindIndex(c => mayLead(c.Summary)) is not (>= 0 and var first))
            return null;
        var leader = costs[first];
        costs.RemoveAt(first);
        List<List<(MeasuredCost Leader, MeasuredCost Rival)>> pairs =
        [
            .. costs.Select(c => c.BySeed.Keys.Where(leader.BySeed.ContainsKey).Select(s => (leader.BySeed[s], c.BySeed[s])).ToList()),
        ];
        PairedTest[] tests = [.. pairs.Select(p => PairedTest.Of([.. p.Select(Difference)], ResolutionOf(p)))];
        double[] p = Holm.Adjust([.. tests.Select(t => t.P)]);
        return new(
            leader.Summary,
            [
                .. costs.Select(
                    (c, i) =>
                        new Rival(c.Summary, tests[i], p[i], MoreSeeds(tests, i))
                        {
                            MayWin = mayWin?.Invoke(leader.Summary, c.Summary) != false,
                            IsFar =
                                pairs[i].Count > 0
                                && isFar?.Invoke(pairs[i].Average(v => v.Leader.Value), pairs[i].Average(v => v.Rival.Value)) == true,
                            IsWorseInAll = pairs[i].Count >= SeedsForAll && pairs[i].TrueForAll(IsWorse),
                            IsCorrected = tests.Count(t => t.IsPossible) > 1,
                        }
                ),
            ]
        );

        Dictionary<int, MeasuredCost> BySeed(Summary s) =>
            s
                .Runs.Select(r => (r.Seed, Cost: cost(r)))
                .Where(r => r.Cost is { } c && double.IsFinite(c.Value))
                .DistinctBy(r => r.Seed)
                .ToDictionary(r => r.Seed, r => r.Cost!.Value);
    }

    /// <summary>The rival's cost minus the leader's; zero where only the arithmetic rounds differently.</summary>
    private static double Difference((MeasuredCost Leader, MeasuredCost Rival) pair)
    {
        double difference = pair.Rival.Value - pair.Leader.Value,
            size = Math.Max(Math.Abs(pair.Rival.Value), Math.Abs(pair.Leader.Value));
        return Math.Abs(difference) <= Rounding * size ? 0 : difference;
    }

    /// <summary>Whether the rival costs more by at least half of what the measurement resolves.</summary>
    private static bool IsWorse((MeasuredCost Leader, MeasuredCost Rival) pair) =>
        Difference(pair) is > 0 and var difference && difference >= (ResolutionOf([pair]) ?? 0) / 2;

    /// <summary>The resolution with whose two rounding errors the differences vary as with those of both sides; null if one is
    /// unknown.</summary>
    private static double? ResolutionOf(List<(MeasuredCost Leader, MeasuredCost Rival)> pairs) =>
        pairs.Count == 0 || pairs.Exists(p => p.Leader.Resolution is null || p.Rival.Resolution is null)
            ? null
            : Math.Sqrt(pairs.Average(p => (Squared(p.Leader) + Squared(p.Rival)) / 2));

    private static double Squared(MeasuredCost cost) => cost.Resolution!.Value * cost.Resolution.Value;

    /// <summary>The least number of further seeds with which all tests, with their present means and deviations, show that one rival costs
    /// more; null if there are too many, or the rival does not cost more.</summary>
    private static int? MoreSeeds(PairedTest[] tests, int index) =>
        !tests[index].IsPossible || tests[index].Mean <= 0
            ? null
            : Enumerable
                .Range(0, MaxMoreSeeds + 1)
                .Where(more =>
                    Holm.Adjust([.. tests.Select(t => t.IsPossible ? (t with { Count = t.Count + more }).P : 1)])[index] <= PairedTest.Level
                )
                .Select(more => (int?)more)
                .FirstOrDefault();
}
