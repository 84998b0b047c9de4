namespace Amari.Tests.SecondOrder;

/// <summary>Curve fits at extreme scales: bounds far from the solution, tiny parameters, sums that cancel, data without a second
/// derivative.</summary>
public sealed class LevenbergMarquardtFitScaleTests
{
    private static readonly double[] X = [.. Enumerable.Range(0, 12).Select(i => 0.5 * i)],
        Noise = [.1, -.2, .05, .12, -.07, .02, .2, -.11, .04, -.03, .09, -.15],
        Y = [.. X.Select((x, i) => 5 * Math.Exp(-0.4 * x) + Noise[i])];

    private static Tensor Decay(Tensor b, Tensor x) => b[0] * torch.exp(-b[1] * x);

    private static void AssertSame(CurveFit expected, CurveFit found)
    {
        Assert.True(expected.Converged && found.Converged, $"{expected.Reason} {found.Reason}");
        Assert.All(expected.Parameters.Zip(found.Parameters), p => Assert.Equal(1, p.Second / p.First, 1e-8));
        Assert.All(expected.StandardErrors.Zip(found.StandardErrors), p => Assert.Equal(1, p.Second / p.First, 1e-6));
        Assert.Empty(found.Notes);
    }

    [Theory]
    [InlineData(0, double.PositiveInfinity)]
    [InlineData(0, 1e6)]
    [InlineData(-1e6, double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity, 1e8)]
    [InlineData(-1e10, 1e10)]
    [InlineData(-1e308, 1e308)]
    public void Bounds_that_no_step_reaches_change_nothing(double lower, double upper) =>
        AssertSame(
            LevenbergMarquardt.Fit(Decay, X, Y, [1, 1]),
            LevenbergMarquardt.Fit(Decay, X, Y, [1, 1], new() { Lower = [lower, lower], Upper = [upper, upper] })
        );

    [Theory, InlineData(1e-3), InlineData(1e-6), InlineData(1e-12), InlineData(1e9)]
    public void Bounds_have_no_unit(double unit)
    {
        AssertSame(
            LevenbergMarquardt.Fit((b, x) => b[0] / unit * x, X, Y, [2 * unit]),
            LevenbergMarquardt.Fit((b, x) => b[0] / unit * x, X, Y, [2 * unit], new() { Lower = [0] })
        );
        Tensor Rate(Tensor b, Tensor x) => b[0] * torch.exp(-b[1] / unit * x);
        AssertSame(
            LevenbergMarquardt.Fit(Rate, X, Y, [1, 0.1 * unit]),
            LevenbergMarquardt.Fit(Rate, X, Y, [1, 0.1 * unit], new() { Lower = [0, 0], Upper = [100, 5 * unit] })
        );
    }

    [Theory, InlineData(0), InlineData(-1e9)]
    public void A_hard_problem_keeps_its_minimum_with_bounds(double lower)
    {
        double[] x = [.. Enumerable.Range(0, 16).Select(i => 50.0 + 5 * i)],
            y = [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872];
        var fit = LevenbergMarquardt.Fit(
            (b, t) => b[0] * torch.exp(b[1] / (t + b[2])),
            x,
            y,
            [2, 400000, 25000],
            new() { Lower = [lower, lower, lower] }
        );
        Assert.True(fit.Converged, fit.Reason);
        Assert.Equal(87.945855, fit.ResidualSumOfSquares, 1e-4);
    }

    /// <summary>Against the best of all fits with some parameters fixed at their bounds.</summary>
    [Theory, InlineData(1), InlineData(2), InlineData(3), InlineData(4), InlineData(5), InlineData(6), InlineData(7)]
    public void Bounds_of_a_linear_problem_have_the_constrained_minimum(int which)
    {
        double[] bounds = [2, 3.5, 0],
            y = [.. X.Select((x, i) => 1 + 3 * x - 0.2 * x * x + Noise[i])],
            lower = [.. bounds.Select((l, i) => (which >> i & 1) == 1 ? l : double.NegativeInfinity)];
        static Tensor Parabola(Tensor a, Tensor b, Tensor c, Tensor x) => a + b * x + c * x * x;
        var fit = LevenbergMarquardt.Fit((b, x) => Parabola(b[0], b[1], b[2], x), X, y, [5, 5, 5], new() { Lower = lower });
        double best = double.PositiveInfinity;
        using var values = torch.tensor(bounds, dtype: ScalarType.Float64);
        for (int at = 0; at < 8; at++)
        {
            if ((at & ~which) != 0)
                continue;
            int[] free = [.. Enumerable.Range(0, 3).Where(i => (at >> i & 1) == 0)];
            Tensor Of(Tensor b, int i) => free.Contains(i) ? b[Array.IndexOf(free, i)] : values[i];
            double rss;
            double[] p = [.. bounds];
            if (free.Length == 0)
                rss = X.Zip(y, (x, v) => Math.Pow(p[0] + p[1] * x + p[2] * x * x - v, 2)).Sum();
            else
            {
                var part = LevenbergMarquardt.Fit((b, x) => Parabola(Of(b, 0), Of(b, 1), Of(b, 2), x), X, y, new double[free.Length]);
                foreach (var (i, k) in free.Select((i, k) => (i, k)))
                    p[i] = part.Parameters[k];
                rss = part.ResidualSumOfSquares;
            }
            if (p.Zip(lower).All(v => v.First >= v.Second))
                best = Math.Min(best, rss);
        }
        Assert.True(fit.Converged, fit.Reason);
        Assert.Equal(1, fit.ResidualSumOfSquares / best, 1e-9);
    }

    [Theory, InlineData(0, 0), InlineData(1, 1)]
    public void A_line_on_large_numbers_has_its_minimum(double intercept, double slope)
    {
        foreach (double offset in (double[])[2e3, 1e6, 1e8, 1.7e9])
        {
            var fit = LevenbergMarquardt.Fit((b, x) => b[0] + b[1] * x, [.. X.Select(x => x + offset)], Y, [intercept, slope]);
            double mean = X.Average(),
                expected = X.Zip(Y, (x, y) => (x - mean) * y).Sum() / X.Sum(x => (x - mean) * (x - mean));
            Assert.True(fit.Converged, $"{offset}: {fit.Reason}");
            Assert.Equal(1, fit.Parameters[1] / expected, 1e-6);
        }
    }

    [Fact]
    public void Powers_of_zero_have_no_second_derivative_and_are_fitted()
    {
        double[] x = [0, 1, 2, 3, 4, 5],
            y = [0.01, 2.1, 5.5, 10.6, 15.9, 22.5];
        foreach (
            double[] start in (double[][])
                [
                    [1, 1],
                    [2, 1.5],
                ]
        )
        {
            var fit = LevenbergMarquardt.Fit((b, t) => b[0] * t.pow(b[1]), x, y, start);
            Assert.True(fit.Converged, fit.Reason);
            Assert.Equal(1.99389172548, fit.Parameters[0], 1e-8);
            Assert.Equal(1.50440918518, fit.Parameters[1], 1e-8);
        }
        var hill = LevenbergMarquardt.Fit(
            (b, t) => b[0] * t.pow(b[1]) / (b[2].pow(b[1]) + t.pow(b[1])),
            x,
            [0, .2, .5, .7, .8, .86],
            [1, 1, 1]
        );
        Assert.True(hill.Converged, hill.Reason);
        Assert.Equal(2.04781816289, hill.Parameters[1], 1e-7);
    }

    [Fact]
    public void A_bound_without_a_derivative_is_left_again()
    {
        double[] y = [.. X.Select((x, i) => 0.01 * x + Noise[i] - 1)];
        var fit = LevenbergMarquardt.Fit((b, x) => torch.sqrt(b[0]) * x + b[1], X, y, [4, 1], new() { Lower = [0, -10] });
        var line = LevenbergMarquardt.Fit((b, x) => b[0] * x + b[1], X, y, [1, 1]);
        Assert.True(fit.Converged, fit.Reason);
        Assert.Equal(line.Parameters[0], Math.Sqrt(fit.Parameters[0]), 1e-8);
        var atBound = LevenbergMarquardt.Fit((b, x) => torch.sqrt(b[0]) * x + b[1], X, y, [0, 1], new() { Lower = [0, -10] });
        Assert.Equal(LeastSquaresStatus.NotFinite, atBound.Status);
    }

    [Fact]
    public void A_fit_of_one_datum_has_its_band_at_several_points()
    {
        var fit = LevenbergMarquardt.Fit((b, x) => b.sum() * x, [2.0], [3.0], [1]);
        Assert.Equal([1.5, 3, 4.5], fit.Band([1.0, 2, 3]).Values.Select(v => Math.Round(v, 9)));
    }
}
