namespace Amari.Tests.SecondOrder;

/// <summary>Curve fits with bounds and with robust losses, against fits without bounds and brute force.</summary>
public sealed class LevenbergMarquardtFitBoundsTests
{
    private static readonly double[] X = [0, 1, 2, 3, 4, 5, 6, 7],
        Y = [4.9, 3.1, 1.85, 1.05, 0.7, 0.42, 0.2, 0.17],
        Outliers = [4.9, 3.1, 1.85, 9, 0.7, 0.42, -6, 0.17];

    private static Tensor Decay(Tensor b, Tensor x) => b[0] * torch.exp(-b[1] * x);

    [Theory]
    [InlineData(0, double.PositiveInfinity)]
    [InlineData(double.NegativeInfinity, 2)]
    [InlineData(0, 2)]
    [InlineData(0.1, 0.9)]
    public void Bounds_around_the_minimum_change_nothing(double lower, double upper)
    {
        var free = LevenbergMarquardt.Fit(Decay, X, Y, [1, 0.8]);
        var bounded = LevenbergMarquardt.Fit(
            Decay,
            X,
            Y,
            [1, 0.8],
            new() { Lower = [double.NegativeInfinity, lower], Upper = [double.PositiveInfinity, upper] }
        );
        Assert.True(bounded.Converged, bounded.Reason);
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(free.Parameters[i], bounded.Parameters[i], 1e-9);
            Assert.Equal(free.StandardErrors[i], bounded.StandardErrors[i], 1e-9);
        }
        Assert.Empty(bounded.Notes);
    }

    [Theory]
    [InlineData(0.7, double.PositiveInfinity, 0.7)]
    [InlineData(0.7, 5, 0.7)]
    [InlineData(double.NegativeInfinity, 0.3, 0.3)]
    [InlineData(-1, 0.3, 0.3)]
    public void A_minimum_outside_ends_at_the_bound(double lower, double upper, double bound)
    {
        var fit = LevenbergMarquardt.Fit(
            Decay,
            X,
            Y,
            [1, double.IsFinite(lower) && double.IsFinite(upper) ? (lower + upper) / 2 : bound],
            new() { Lower = [double.NegativeInfinity, lower], Upper = [double.PositiveInfinity, upper] }
        );
        using var at = torch.tensor(bound, dtype: ScalarType.Float64);
        var fixedRate = LevenbergMarquardt.Fit((b, x) => b[0] * torch.exp(-at * x), X, Y, [1]);
        Assert.Equal(bound, fit.Parameters[1], 1e-6);
        Assert.InRange(fit.Parameters[1], lower, upper);
        Assert.Equal(fixedRate.Parameters[0], fit.Parameters[0], 1e-5);
        Assert.Equal(fixedRate.StandardErrors[0], fit.StandardErrors[0], 1e-5);
        Assert.Equal((double.NaN, double.NaN), (fit.StandardErrors[1], fit.Covariance(0, 1)));
        Assert.Contains("b[1] ended at a bound", Assert.Single(fit.Notes), StringComparison.Ordinal);
        Assert.True(double.IsFinite(fit.Band(X).Upper[1]));
    }

    [Fact]
    public void A_start_at_a_bound_can_leave_it()
    {
        var fit = LevenbergMarquardt.Fit(Decay, X, Y, [0, 0], new() { Lower = [0, 0], Upper = [100, 5] });
        var free = LevenbergMarquardt.Fit(Decay, X, Y, [1, 0.8]);
        Assert.True(fit.Converged, fit.Reason);
        Assert.Equal(free.Parameters[0], fit.Parameters[0], 1e-8);
        Assert.Equal(free.Parameters[1], fit.Parameters[1], 1e-8);
    }

    private static double Rho(RobustLoss loss, double z) =>
        loss switch
        {
            RobustLoss.Huber => z <= 1 ? z : 2 * Math.Sqrt(z) - 1,
            RobustLoss.SoftL1 => 2 * (Math.Sqrt(1 + z) - 1),
            _ => Math.Log(1 + z),
        };

    public static TheoryData<RobustLoss> Losses => [RobustLoss.Huber, RobustLoss.SoftL1, RobustLoss.Cauchy];

    [Theory, MemberData(nameof(Losses))]
    public void Robust_minima_are_those_of_brute_force(RobustLoss loss)
    {
        const double scale = 0.3;
        var fit = LevenbergMarquardt.Fit(Decay, X, Outliers, [5, 0.5], new() { Loss = loss, LossScale = scale });
        Assert.True(fit.Converged, fit.Reason);
        var (a, k) = (5.0, 0.5);
        for (double h = 1; h > 1e-9; h *= 0.7) // a grid that contracts around its best point
        for (int again = 0; again < 4; again++)
            (a, k) = (from i in Enumerable.Range(-5, 11) from j in Enumerable.Range(-5, 11) select (a + i * h / 5, k + j * h / 25)).MinBy(
                p => Cost(p.Item1, p.Item2)
            );
        Assert.Equal(Cost(a, k), fit.Loss, 1e-12);
        Assert.Equal(a, fit.Parameters[0], 1e-6);
        Assert.Equal(k, fit.Parameters[1], 1e-6);

        double Cost(double a, double k) =>
            X.Zip(Outliers, (x, y) => 0.5 * scale * scale * Rho(loss, Math.Pow((a * Math.Exp(-k * x) - y) / scale, 2))).Sum();
    }

    [Theory, MemberData(nameof(Losses))]
    public void Robust_fits_stay_near_the_data_without_outliers(RobustLoss loss)
    {
        var clean = LevenbergMarquardt.Fit(Decay, X, Y, [5, 0.5]);
        var squares = LevenbergMarquardt.Fit(Decay, X, Outliers, [5, 0.5]);
        var robust = LevenbergMarquardt.Fit(Decay, X, Outliers, [5, 0.5], new() { Loss = loss, LossScale = 0.1 });
        Assert.InRange(
            Math.Abs(robust.Parameters[0] - clean.Parameters[0]),
            0,
            0.1 * Math.Abs(squares.Parameters[0] - clean.Parameters[0])
        );
        Assert.InRange(robust.StandardErrors[0], 0, 0.5 * squares.StandardErrors[0]);
    }

    [Theory, MemberData(nameof(Losses))]
    public void A_large_scale_gives_least_squares(RobustLoss loss)
    {
        var squares = LevenbergMarquardt.Fit(Decay, X, Y, [5, 0.5]);
        var robust = LevenbergMarquardt.Fit(Decay, X, Y, [5, 0.5], new() { Loss = loss, LossScale = 1e4 });
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(squares.Parameters[i], robust.Parameters[i], 1e-7);
            Assert.Equal(squares.StandardErrors[i], robust.StandardErrors[i], 1e-7);
        }
    }

    [Fact]
    public void Errors_of_a_robust_mean_are_those_of_huber()
    {
        const double scale = 0.5;
        double[] y = [0.1, -0.3, 0.2, 0.4, -0.1, 5, -0.2, 0.05, -4, 0.3];
        var fit = LevenbergMarquardt.Fit((b, _) => b[0], y, y, [0], new() { Loss = RobustLoss.Huber, LossScale = scale });
        double[] r = [.. y.Select(v => fit.Parameters[0] - v)];
        double m = r.Count(v => Math.Abs(v) <= scale) / 10.0,
            psi = r.Sum(v => Math.Pow(Math.Clamp(v, -scale, scale), 2)) / 9,
            k = 1 + (1 - m) / (10 * m);
        Assert.Equal(0, r.Sum(v => Math.Clamp(v, -scale, scale)), 1e-8);
        Assert.Equal(k / m * Math.Sqrt(psi / 10), fit.StandardErrors[0], 1e-10);
    }

    /// <summary>Standard errors against the spread of fits to many draws of the noise.</summary>
    [Theory, InlineData(RobustLoss.Squares), InlineData(RobustLoss.Huber)]
    public void Standard_errors_are_the_spread_over_draws(RobustLoss loss)
    {
        const int draws = 60;
        var random = new Random(3);
        var (slopes, errors) = (new List<double>(), new List<double>());
        double[] x = [.. Enumerable.Range(0, 40).Select(i => i / 10.0)];
        for (int draw = 0; draw < draws; draw++)
        {
            double[] y =
            [
                .. x.Select(v => 2 * Math.Exp(-v) + 0.1 * (random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5)),
            ];
            var fit = LevenbergMarquardt.Fit(Decay, x, y, [1, 0.5], new() { Loss = loss, LossScale = 0.05 });
            slopes.Add(fit.Parameters[1]);
            errors.Add(fit.StandardErrors[1]);
        }
        double mean = slopes.Average(),
            spread = Math.Sqrt(slopes.Sum(s => (s - mean) * (s - mean)) / (draws - 1));
        Assert.InRange(errors.Average() / spread, 0.75, 1.3); // the spread itself has an error of 9 %
    }
}
