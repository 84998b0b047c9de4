using Amari.Training;

namespace Amari.Tests.Training;

/// <summary>The cost of a step from planted times.</summary>
public sealed class StepProfileTests
{
    private static readonly int[] Calibrated = [4, 8],
        Intervals = [10, 20];

    /// <summary>Cycles of eight steps: plain ones of 1 ms, factors at the first and fifth of 3 ms, inverses at the first of 9 ms.</summary>
    private static List<TimedStep> Cycles(int count, Func<int, double>? factor = null) =>
        [
            .. Enumerable
                .Range(0, 8 * count)
                .Select(i =>
                    (factor?.Invoke(i) ?? 1)
                    * (
                        i % 8 == 0 ? 9
                        : i % 4 == 0 ? 3.0
                        : 1
                    )
                )
                .Select(ms => new TimedStep(ms, 2 * ms)),
        ];

    private static IReadOnlyList<string> Options(int interval) => [$"every {interval}"];

    [Fact]
    public void Each_kind_has_its_cost_share_and_options()
    {
        var profile = new StepProfile(Cycles(3), Calibrated, Intervals);
        double mean = 0.9 * 1 + 0.05 * 3 + 0.05 * 9;
        Assert.Equal(mean, profile.Spread.Median, 12);
        Assert.Equal(mean, profile.Spread.Min, 12);
        Assert.Equal(mean, profile.Spread.Max, 12);
        Assert.Equal(2 * mean, profile.CpuMilliseconds, 12);
        var kinds = profile.Kinds(Options);
        Assert.Equal([(1, 18, 1.0), (10, 3, 3), (20, 3, 9)], kinds.Select(k => (k.Interval, k.Steps, k.Milliseconds.Median)));
        Assert.Equal(
            [
                [],
                ["every 10"],
                ["every 20"],
            ],
            kinds.Select(k => k.Options)
        );
        Assert.Equal([0.9, 0.05, 0.05], kinds.Select(k => Math.Round(k.Share, 12)));
    }

    /// <summary>Ranks within a cycle would take a delayed plain step for one with a refresh.</summary>
    [Fact]
    public void A_delayed_step_in_each_cycle_changes_neither_mean_nor_kinds()
    {
        var delayed = new StepProfile(Cycles(5, i => i % 8 == 1 + i / 8 ? 100 : 1), Calibrated, Intervals);
        Assert.Equal(0.9 * 1 + 0.05 * 3 + 0.05 * 9, delayed.Spread.Median, 12);
        Assert.Equal([1.0, 3, 9], delayed.Kinds(Options).Select(k => k.Milliseconds.Median));
        Assert.Equal([100.0, 300, 9], delayed.Kinds(Options).Select(k => k.Milliseconds.Max));
        Assert.True(delayed.Spread.Max > 50);
    }

    /// <summary>Cycle c takes 1 + c times as long: so do all quantiles.</summary>
    [Fact]
    public void The_spread_is_that_of_the_cycles()
    {
        double mean = 0.9 * 1 + 0.05 * 3 + 0.05 * 9;
        var spread = new StepProfile(Cycles(5, i => 1 + i / 8), Calibrated, Intervals).Spread;
        double[] expected = [mean, 2 * mean, 3 * mean, 4 * mean, 5 * mean];
        double[] actual = [spread.Min, spread.Lower, spread.Median, spread.Upper, spread.Max];
        Assert.All(expected.Zip(actual), p => Assert.Equal(p.First, p.Second, 12));
    }

    [Fact]
    public void Alike_steps_are_one_kind_with_their_own_quartiles()
    {
        var profile = new StepProfile([.. new[] { 4.0, 1, 3, 2 }.Select(ms => new TimedStep(ms, 1))], [], []);
        Assert.Equal(new(1, 1.75, 2.5, 3.25, 4), profile.Spread);
        var kind = Assert.Single(profile.Kinds(Options));
        Assert.Equal((1, 1.0, 4, profile.Spread), (kind.Interval, kind.Share, kind.Steps, kind.Milliseconds));
        Assert.Empty(kind.Options);
    }

    [Fact]
    public void Quartiles_are_numpys()
    {
        Assert.Equal(new(7, 7, 7, 7, 7), Quartiles.Of([7]));
        Assert.Equal(new(1, 2, 3, 4, 5), Quartiles.Of([5, 1, 4, 2, 3]));
        Assert.Equal(new(0, 7.5, 15, 22.5, 30), Quartiles.Of([0, 10, 20, 30]));
        Assert.Throws<ArgumentOutOfRangeException>(() => Quartiles.Of([]));
    }
}
