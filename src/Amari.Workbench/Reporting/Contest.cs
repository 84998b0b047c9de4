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

    private const int MaxMoreSeeds = 100;

    private Contest(Summary leader, IReadOnlyList<Rival> rivals) => (Leader, Rivals) = (leader, rivals);

    /// <summary>The optimizer with the lowest mean cost.</summary>
    public Summary Leader { get; }

    /// <summary>The others, the lowest mean cost first.</summary>
    public IReadOnlyList<Rival> Rivals { get; }

    /// <summary>Whether any rival could be tested: each side needs two common seeds.</summary>
    public bool IsTested => Rivals.Any(r => r.Test.IsPossible);

    /// <summary>The rivals that cannot be told apart from the leader, and are not far from it on average.</summary>
    public IEnumerable<Rival> Ties => Rivals.Where(r => r.Test.IsPossible && !r.IsBeaten && !r.IsFar);

    /// <summary>The rivals that are far from the leader on average, and vary too much over the seeds for the test to exclude
    /// them.</summary>
    public IEnumerable<Rival> Unclear => Rivals.Where(r => r.Test.IsPossible && !r.IsBeaten && r.IsFar);

    /// <param name="contenders">The optimizers.</param>
    /// <param name="cost">What is compared, lower is better; null where a run does not count.</param>
    /// <param name="mayLead">Whether an optimizer can be the leader.</param>
    /// <param name="isFar">Whether the second of two mean costs is larger by <see cref="LargeFactor"/>; null if none is.</param>
    /// <returns>Null if no optimizer can lead.</returns>
    public static Contest? Of(
        IReadOnlyList<Summary> contenders,
        Func<TrainingRun, double?> cost,
        Func<Summary, bool> mayLead,
        Func<double, double, bool>? isFar = null
    )
    {
        var costs = contenders
            .Select(s => (Summary: s, BySeed: BySeed(s)))
            .Where(c => c.BySeed.Count > 0)
            .OrderBy(c => c.BySeed.Values.Average())
            .ToList();
        if (costs.FindIndex(c => mayLead(c.Summary)) is not (>= 0 and var first))
            return null;
        var leader = costs[first];
        costs.RemoveAt(first);
        PairedTest[] tests =
        [
            .. costs.Select(c =>
                PairedTest.Of([.. c.BySeed.Where(s => leader.BySeed.ContainsKey(s.Key)).Select(s => s.Value - leader.BySeed[s.Key])])
            ),
        ];
        double[] p = Holm.Adjust([.. tests.Select(t => t.P)]);
        return new(leader.Summary, [.. costs.Select((c, i) => new Rival(c.Summary, tests[i], p[i], MoreSeeds(tests, i), IsFar(c.BySeed)))]);

        bool IsFar(Dictionary<int, double> bySeed) =>
            bySeed.Keys.Where(leader.BySeed.ContainsKey).ToList() is { Count: > 0 } common
            && isFar?.Invoke(common.Average(seed => leader.BySeed[seed]), common.Average(seed => bySeed[seed])) == true;

        Dictionary<int, double> BySeed(Summary s) =>
            s
                .Runs.Select(r => (r.Seed, Cost: cost(r)))
                .Where(r => r.Cost is { } c && double.IsFinite(c))
                .DistinctBy(r => r.Seed)
                .ToDictionary(r => r.Seed, r => r.Cost!.Value);
    }

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
