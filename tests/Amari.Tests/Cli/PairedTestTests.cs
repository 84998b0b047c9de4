using Amari.Reporting;

namespace Amari.Tests.Cli;

/// <summary>Student's t and Holm's correction, against finite series and enumeration.</summary>
public sealed class PairedTestTests
{
    /// <summary>The two-sided p of Student's t as a finite sum in θ = atan(t / √ν) (Abramowitz and Stegun, 26.7.3 and 26.7.4).</summary>
    private static double Series(double t, int freedom)
    {
        double angle = Math.Atan(Math.Abs(t) / Math.Sqrt(freedom)),
            cos = Math.Cos(angle),
            term = freedom % 2 == 1 ? cos : 1,
            sum = freedom == 1 ? 0 : term;
        for (int k = freedom % 2 == 1 ? 3 : 2; k <= freedom - 2; k += 2)
            sum += term *= cos * cos * (k - 1) / k;
        return 1 - (freedom % 2 == 1 ? 2 / Math.PI * (angle + Math.Sin(angle) * sum) : Math.Sin(angle) * sum);
    }

    [Theory]
    [InlineData(new double[] { 1, 3 }, 0.2951672353008666), InlineData(new double[] { 1, 2, 3 }, 0.0741799002274)]
    [InlineData(new double[] { 0.5, -0.25, 1, 0.75, 0.1 }, 0.1339784483)] // t = 1.8755, 4 degrees of freedom
    public void P_is_that_of_hand_calculation(double[] differences, double expected) =>
        Assert.Equal(expected, PairedTest.Of(differences).P, 1e-9);

    [Fact]
    public void P_and_interval_agree_with_the_finite_series()
    {
        var random = new Random(3);
        for (int n = 2; n <= 40; n++)
        {
            double[] d = [.. Enumerable.Range(0, n).Select(_ => random.NextDouble() - 0.3)];
            double mean = d.Sum() / n,
                error = Math.Sqrt((d.Sum(x => x * x) - n * mean * mean) / (n - 1) / n);
            var test = PairedTest.Of(d);
            Assert.Equal(Series(mean / error, n - 1), test.P, 1e-8);
            var (low, high) = test.Interval;
            Assert.Equal(0.05, Series((mean - low) / error, n - 1), 1e-8); // the mean is just rejected at each end
            Assert.Equal(0.05, Series((mean - high) / error, n - 1), 1e-8);
        }
    }

    [Fact]
    public void P_is_near_that_of_all_flips_of_signs()
    {
        double[] d = [0.31, -0.12, 0.45, 0.2, 0.08, 0.37, -0.05, 0.29, 0.14, -0.21, 0.33, 0.02];
        double mean = d.Average();
        int extreme = Enumerable
            .Range(0, 1 << d.Length)
            .Count(flips => Math.Abs(d.Select((x, i) => (flips >> i & 1) == 1 ? -x : x).Average()) >= mean - 1e-12);
        Assert.Equal((double)extreme / (1 << d.Length), PairedTest.Of(d).P, 0.01);
    }

    [Fact]
    public void Few_or_equal_differences_are_decided()
    {
        Assert.Equal((1.0, false), (PairedTest.Of([]).P, PairedTest.Of([]).IsPossible));
        Assert.Equal((1.0, false), (PairedTest.Of([5]).P, PairedTest.Of([5]).IsPossible));
        Assert.Equal((double.NegativeInfinity, double.PositiveInfinity), PairedTest.Of([5]).Interval);
        Assert.Equal(1, PairedTest.Of([0, 0, 0]).P);
        Assert.Equal((1.0, false), (PairedTest.Of([2, 2, 2]).P, PairedTest.Of([2, 2, 2]).IsPossible)); // of an unknown resolution
        Assert.False(PairedTest.Of([0.1, 0.3 - 0.2, 0.1]).IsPossible);
        Assert.Equal(0, PairedTest.Of([5.55e-17, 0, 0], 1.0 / 15).Mean);
    }

    /// <summary>Two seeds with accuracies of 13 and 12 of 15 are no proof: s = δ/√6, t = √12 with one degree of freedom.</summary>
    [Theory]
    [InlineData(1, 2), InlineData(1, 3), InlineData(2, 3), InlineData(-1, 5)]
    public void Equal_differences_vary_by_the_resolution(int examples, int seeds)
    {
        double resolution = 1.0 / 15;
        var test = PairedTest.Of([.. Enumerable.Repeat(examples * resolution, seeds)], resolution);
        Assert.True(test is { IsPossible: true, IsCoarse: true });
        Assert.Equal(resolution / Math.Sqrt(6), test.Deviation, 1e-15);
        Assert.Equal(Series(Math.Abs(examples) * Math.Sqrt(6 * seeds), seeds - 1), test.P, 1e-8);
        Assert.True(test.Interval.High - test.Interval.Low > resolution / 2);
        Assert.False(PairedTest.Of([1, 5, 2], 0.1).IsCoarse);
    }

    [Theory]
    [InlineData(new[] { 0.01, 0.04, 0.03 }, new[] { 0.03, 0.06, 0.06 })] // p.adjust(p, "holm") of R
    [InlineData(new[] { 0.5, 0.02, 0.3, 0.001 }, new[] { 0.6, 0.06, 0.6, 0.004 })]
    [
        InlineData(new[] { 0.7, 0.9 }, new[] { 1.0, 1.0 }),
        InlineData(new[] { 0.04 }, new[] { 0.04 }),
        InlineData(new double[0], new double[0])
    ]
    public void Holm_multiplies_by_the_number_of_tests_left(double[] p, double[] expected) =>
        Assert.All(Holm.Adjust(p).Zip(expected), v => Assert.Equal(v.Second, v.First, 1e-12));

    [Fact]
    public void More_seeds_are_the_least_that_would_separate_a_tie()
    {
        var contest = Contest.Of(
            [
                .. new[] { PlantedRuns.Times("a", [2, 2.4, 2.1]), PlantedRuns.Times("b", [2.3, 2.35, 2.3]) }.Select(r => new Summary(
                    r[0].Optimizer,
                    r
                )),
            ],
            r => new(r.SecondsToTarget!.Value, null),
            _ => true
        )!;
        Assert.Equal("a", contest.Leader.Optimizer);
        var rival = Assert.Single(contest.Ties);
        double t = rival.Test.Mean / rival.Test.Deviation;
        int more = Assert.NotNull(rival.MoreSeeds);
        Assert.True(Series(t * Math.Sqrt(3 + more), 2 + more) <= 0.05);
        Assert.True(Series(t * Math.Sqrt(2 + more), 1 + more) > 0.05);
    }

    /// <summary>The leader is chosen by the same data that the test sees, which raises the rate of false claims a little above 5 % for more
    /// than two optimizers.</summary>
    [Theory]
    [InlineData(2, 0.075), InlineData(4, 0.095)]
    public void Equal_optimizers_are_seldom_told_apart(int optimizers, double most)
    {
        var random = new Random(11);
        int claims = 0,
            draws = 1000;
        for (int draw = 0; draw < draws; draw++)
        {
            var contest = Contest.Of(
                [
                    .. Enumerable
                        .Range(0, optimizers)
                        .Select(i => new Summary(
                            $"o{i}",
                            PlantedRuns.Times(
                                $"o{i}",
                                [
                                    .. Enumerable
                                        .Range(0, 5)
                                        .Select(_ => Math.Exp(0.1 * Enumerable.Range(0, 12).Sum(_ => random.NextDouble() - 0.5))),
                                ]
                            )
                        )),
                ],
                r => new(Math.Log(r.SecondsToTarget!.Value), null),
                _ => true
            )!;
            claims += contest.Rivals.Any(r => r.IsBeaten) ? 1 : 0;
        }
        Assert.InRange(claims / (double)draws, 0.03, most);
    }
}
