using Amari.Workloads.Data;

namespace Amari.Tests.SecondOrder;

/// <summary>Curve fits: linear regression in closed form, NIST's certified results, weights, singular and failed fits.</summary>
public sealed class LevenbergMarquardtFitTests
{
    private static readonly double[] X = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        Y = [2.1, 3.9, 6.2, 7.8, 10.1, 12.2, 13.8, 16.1, 18.3, 19.7];

    private static Tensor Line(Tensor b, Tensor x) => b[0] + b[1] * x;

    private static Tensor Decay(Tensor b, Tensor x) => b[0] * torch.exp(-b[1] * x);

    /// <summary>Weighted linear regression in closed form: the parameters and (X'W²X)⁻¹.</summary>
    private static (double[] B, double[,] Inverse, double Rss) Regression(double[] x, double[] y, double[]? w = null)
    {
        double[] v = w is null ? [.. x.Select(_ => 1.0)] : [.. w.Select(a => a * a)];
        double s = v.Sum(),
            sx = v.Zip(x, (a, b) => a * b).Sum(),
            sxx = v.Zip(x, (a, b) => a * b * b).Sum(),
            sy = v.Zip(y, (a, b) => a * b).Sum(),
            sxy = v.Select((a, i) => a * x[i] * y[i]).Sum(),
            det = s * sxx - sx * sx;
        double[] b = [(sxx * sy - sx * sxy) / det, (s * sxy - sx * sy) / det];
        double[,] inverse =
        {
            { sxx / det, -sx / det },
            { -sx / det, s / det },
        };
        return (b, inverse, v.Select((a, i) => a * Math.Pow(y[i] - b[0] - b[1] * x[i], 2)).Sum());
    }

    [Fact]
    public void A_line_is_fitted_as_in_closed_form()
    {
        var fit = LevenbergMarquardt.Fit(Line, X, Y, [0, 0]);
        var (b, inverse, rss) = Regression(X, Y);
        Assert.True(fit.Converged, fit.Reason);
        double variance = rss / 8;
        for (int i = 0; i < 2; i++)
        {
            Assert.Equal(b[i], fit.Parameters[i], 1e-12);
            Assert.Equal(Math.Sqrt(variance * inverse[i, i]), fit.StandardErrors[i], 1e-12);
            for (int j = 0; j < 2; j++)
                Assert.Equal(variance * inverse[i, j], fit.Covariance(i, j), 1e-12);
        }
        double mean = Y.Average();
        Assert.Equal(rss, fit.ResidualSumOfSquares, 1e-12);
        Assert.Equal(rss / 2, fit.Loss, 1e-12);
        Assert.Equal(1 - rss / Y.Sum(y => (y - mean) * (y - mean)), fit.RSquared, 1e-14);
        Assert.Equal(8, fit.DegreesOfFreedom);
        Assert.Equal(Math.Sqrt(variance), fit.ResidualStandardDeviation, 1e-12);
        Assert.Empty(fit.Notes);
    }

    [Fact]
    public void What_the_data_do_not_determine_has_infinite_errors_and_bands()
    {
        var exact = LevenbergMarquardt.Fit((b, x) => (b[0] + b[1]) * x, [1, 2, 3, 4], [2, 4, 6, 8], [1, 0]);
        Assert.Equal([double.PositiveInfinity, double.PositiveInfinity], exact.StandardErrors);
        var few = LevenbergMarquardt.Fit((b, x) => b[0] - b[1] * x, [1, 2], [2.1, 4], [1, 0]);
        var singular = LevenbergMarquardt.Fit((b, x) => (b[0] + b[1]) * x - b[2], X, Y, [1, 0, 0]);
        foreach (var fit in (CurveFit[])[exact, few, singular])
        {
            var band = fit.Band([1.0]);
            Assert.Equal((double.NegativeInfinity, double.PositiveInfinity), (band.Lower[0], band.Upper[0]));
            Assert.True(double.IsFinite(band.Values[0]));
        }
    }

    /// <summary>Below an amplitude of 1 each value is of its datum alone, above it is divided by the largest.</summary>
    [Fact]
    public void Values_that_come_to_depend_on_other_data_are_fitted()
    {
        using var scope = torch.NewDisposeScope();
        double[] x = [.. Enumerable.Range(0, 30).Select(i => 0.1 * i)];
        double[] y = [.. x.Select(t => Math.Exp(-0.7 * t) + 0.3 * Math.Exp(-5 * t) + 0.01 * Math.Sin(9 * t))];
        var far = LevenbergMarquardt.Fit(Divided, x, y, [2, 0.5]);
        var near = LevenbergMarquardt.Fit(Divided, x, y, [0.5, 0.5]);
        Assert.True(far.Converged && near.Converged, $"{far.Reason} {near.Reason}");
        Assert.Equal(far.ResidualSumOfSquares, near.ResidualSumOfSquares, 1e-9);

        static Tensor Divided(Tensor b, Tensor x)
        {
            var z = b[0] * torch.exp(-b[1] * x);
            return z / z.max().clamp(min: 1) + 0.1 * b[0] * torch.exp(-5 * x);
        }
    }

    [Fact]
    public void Data_and_start_may_be_arrays_or_tensors()
    {
        using var scope = torch.NewDisposeScope();
        double[] start = [5, 0.1];
        double[] expected = [.. LevenbergMarquardt.Fit(Decay, X, Y, start).Parameters];
        var (x, y) = (torch.tensor(X), torch.tensor(Y));
        Assert.Equal(expected, LevenbergMarquardt.Fit(Decay, x, y, start).Parameters);
        Assert.Equal(expected, LevenbergMarquardt.Fit(Decay, x, y, [5, 0.1]).Parameters);
        Assert.Equal(expected, LevenbergMarquardt.Fit(Decay, x, y, torch.tensor(start)).Parameters);
    }

    [Fact]
    public void The_band_of_a_line_is_as_in_closed_form()
    {
        var fit = LevenbergMarquardt.Fit(Line, X, Y, [0, 0]);
        var (b, _, rss) = Regression(X, Y);
        double mean = X.Average(),
            sxx = X.Sum(x => (x - mean) * (x - mean));
        double[] at = [-3, 5.5, 20];
        var band = fit.Band(at, 0.95);
        foreach (var (x, i) in at.Select((x, i) => (x, i)))
        {
            double f = b[0] + b[1] * x,
                half = 2.3060041352 * Math.Sqrt(rss / 8 * (0.1 + (x - mean) * (x - mean) / sxx)); // t of 8 degrees of freedom
            Assert.Equal(f, band.Values[i], 1e-11);
            Assert.Equal(f - half, band.Lower[i], 1e-8);
            Assert.Equal(f + half, band.Upper[i], 1e-8);
        }
        Assert.Equal(band.Values, fit.Predict(at));
        Assert.True(fit.Band(at, 0.5).Upper[0] < band.Upper[0]);
    }

    [Fact]
    public void Weights_count_as_in_closed_form()
    {
        double[] w = [1, 1, 2, 2, 3, 3, 0.5, 0.5, 0, 1];
        var fit = LevenbergMarquardt.Fit(Line, X, Y, [0, 0], new() { Weights = w });
        var (b, inverse, rss) = Regression(X, Y, w);
        Assert.Equal(b[0], fit.Parameters[0], 1e-12);
        Assert.Equal(b[1], fit.Parameters[1], 1e-12);
        Assert.Equal(7, fit.DegreesOfFreedom); // one weight is 0
        Assert.Equal(Math.Sqrt(rss / 7 * inverse[1, 1]), fit.StandardErrors[1], 1e-12);
        var absolute = LevenbergMarquardt.Fit(Line, X, Y, [0, 0], new() { Weights = w, AbsoluteWeights = true });
        Assert.Equal(Math.Sqrt(inverse[1, 1]), absolute.StandardErrors[1], 1e-12);
        double half = 1.9599639845 * Math.Sqrt(inverse[0, 0]);
        Assert.Equal(b[0] + half, absolute.Band([0.0]).Upper[0], 1e-9);
    }

    public static TheoryData<string, int> Certified =>
        [.. NistProblem.Embedded.SelectMany(name => ((int[])[1, 2]).Select(start => new TheoryDataRow<string, int>(name, start)))];

    [Theory, MemberData(nameof(Certified))]
    public void Certified_results_are_found(string name, int start)
    {
        var problem = NistProblem.Find(name);
        using var x = problem.X();
        using var y = problem.Y();
        var fit = LevenbergMarquardt.Fit(problem.Function, x, y, problem.Starts[start - 1]);
        TestContext.Current.SendDiagnosticMessage(
            $"NIST {name} {start}: {fit.Steps} {fit.Evaluations} {problem.Digits(fit.Parameters):F1} {fit.Status}"
        );
        Assert.InRange(problem.Digits(fit.Parameters), 6, 11);
        Assert.True(fit.Converged, fit.Reason);
        Assert.Empty(fit.Notes);
        if (name == "Lanczos1")
            return; // its residuals, 1e-13, are rounding
        Assert.All(fit.StandardErrors.Zip(problem.Deviations), p => Assert.InRange(Math.Abs(p.First - p.Second) / p.Second, 0, 5e-5));
        Assert.Equal(1, fit.ResidualSumOfSquares / problem.ResidualSumOfSquares, 1e-6);
    }

    private static readonly double[] Misra =
        [10.07, 14.73, 17.94, 23.93, 29.61, 35.18, 40.02, 44.82, 50.76, 55.05, 61.01, 66.40, 75.47, 81.78],
        Pressure = [77.6, 114.9, 141.1, 190.8, 239.9, 289.0, 332.8, 378.4, 434.8, 477.3, 536.8, 593.1, 689.1, 760.0];

    /// <summary>Classical problems with published minima, which are not among the embedded ones.</summary>
    private static readonly Dictionary<string, (string Model, double[] X, double[] Y, double[] Start, double[] Minimum)> Classics = new()
    {
        ["Meyer 1970"] = (
            "b1 * exp[b2/(x1+b3)]",
            [.. Enumerable.Range(0, 16).Select(i => 50.0 + 5 * i)],
            [34780, 28610, 23650, 19630, 16370, 13720, 11540, 9744, 8261, 7030, 6005, 5147, 4427, 3820, 3307, 2872],
            [2, 400000, 25000],
            [5.6096364710E-03, 6.1813463463E+03, 3.4522363462E+02]
        ),
        ["Kowalik and Osborne 1978"] = (
            "b1*(x1**2+x1*b2) / (x1**2+x1*b3+b4)",
            [4, 2, 1, 0.5, 0.25, 0.167, 0.125, 0.1, 0.0833, 0.0714, 0.0625],
            [0.1957, 0.1947, 0.1735, 0.16, 0.0844, 0.0627, 0.0456, 0.0342, 0.0323, 0.0235, 0.0246],
            [25, 39, 41.5, 39],
            [1.9280693458E-01, 1.9128232873E-01, 1.2305650693E-01, 1.3606233068E-01]
        ),
        ["Ratkowsky 1983"] = (
            "b1 / ((1+exp[b2-b3*x1])**(1/b4))",
            [.. Enumerable.Range(1, 15).Select(i => (double)i)],
            [16.08, 33.83, 65.80, 97.20, 191.55, 326.20, 386.87, 520.53, 590.03, 651.92, 724.93, 699.56, 689.96, 637.56, 717.41],
            [100, 10, 1, 1],
            [6.9964151270E+02, 5.2771253025E+00, 7.5962938329E-01, 1.2792483859E+00]
        ),
        ["Misra b"] = ("b1 * (1-(1+b2*x1/2)**(-2))", Pressure, Misra, [500, 0.0001], [3.3799746163E+02, 3.9039091287E-04]),
        ["Misra c"] = ("b1 * (1-(1+2*b2*x1)**(-.5))", Pressure, Misra, [500, 0.0001], [6.3642725809E+02, 2.0813627256E-04]),
        ["Misra d"] = ("b1*b2*x1*((1+b2*x1)**(-1))", Pressure, Misra, [500, 0.0001], [4.3736970754E+02, 3.0227324449E-04]),
    };

    public static TheoryData<string> ClassicNames => [.. Classics.Keys];

    [Theory, MemberData(nameof(ClassicNames))]
    public void Classical_minima_are_found(string name)
    {
        var (model, x, y, start, minimum) = Classics[name];
        var formula = Formula.Parse(model, [.. start.Select((_, i) => $"b{i + 1}"), "x1"]);
        var fit = LevenbergMarquardt.Fit(
            (b, z) => formula(start.Select((_, i) => ($"b{i + 1}", b[i])).Append(("x1", z)).ToDictionary(v => v.Item1, v => v.Item2)),
            x,
            y,
            start
        );
        TestContext.Current.SendDiagnosticMessage($"{name}: {fit.Steps} {fit.Evaluations} {fit.Status}");
        Assert.True(fit.Converged, fit.Reason);
        Assert.All(fit.Parameters.Zip(minimum), p => Assert.Equal(1, p.First / p.Second, 1e-6));
    }

    [Fact]
    public void Other_forms_of_a_function_have_the_same_fit()
    {
        using var scope = torch.NewDisposeScope();
        var (x, y) = (torch.tensor(X, dtype: ScalarType.Float64), torch.tensor(Y, dtype: ScalarType.Float32));
        var rows = torch.stack([torch.ones_like(x), x], 1); // two predictors, in a product with the vector of parameters
        var line = LevenbergMarquardt.Fit(Line, x, y, [0, 0]);
        var product = LevenbergMarquardt.Fit((b, z) => z.mv(b), rows, y, [0, 0]);
        Assert.All(line.Parameters.Zip(product.Parameters), p => Assert.Equal(p.First, p.Second, 1e-10));
        Assert.All(line.StandardErrors.Zip(product.StandardErrors), p => Assert.Equal(p.First, p.Second, 1e-10));
        using var found = product.Predict(rows);
        Assert.Equal(10, found.numel());
        Assert.All(product.Band(rows).Lower.Zip(line.Band(X).Lower), p => Assert.Equal(p.First, p.Second, 1e-8));
        Assert.Contains("it must be [m, 2]", Assert.Throws<ArgumentException>(() => product.Predict(x)).Message, StringComparison.Ordinal);
        Assert.Contains(
            "it must be [m] with",
            Assert.Throws<ArgumentException>(() => line.Predict(rows)).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Parameters_that_data_do_not_determine_have_infinite_errors()
    {
        var fit = LevenbergMarquardt.Fit((b, x) => b[0] * b[1] * x, X, Y, [1, 1]);
        Assert.All(fit.StandardErrors, e => Assert.Equal(double.PositiveInfinity, e));
        Assert.Contains("The data determine 1 combination of the 2 parameters", Assert.Single(fit.Notes), StringComparison.Ordinal);
        Assert.Equal(Y.Zip(X, (y, x) => x * y).Sum() / X.Sum(x => x * x), fit.Parameters[0] * fit.Parameters[1], 1e-8);
        var exact = LevenbergMarquardt.Fit(Line, X[..2], Y[..2], [0, 0]);
        Assert.All(exact.StandardErrors, e => Assert.Equal(double.PositiveInfinity, e));
        Assert.Contains("as many data as parameters", Assert.Single(exact.Notes), StringComparison.Ordinal);
        Assert.Equal(double.PositiveInfinity, exact.Band([1.5]).Upper[0]);
    }

    [Fact]
    public void A_start_without_a_value_ends_with_its_status()
    {
        var fit = LevenbergMarquardt.Fit((b, x) => b[0] * torch.log(b[1] * x), X, Y, [1, -1]);
        Assert.Equal(LeastSquaresStatus.NotFinite, fit.Status);
        Assert.False(fit.Converged);
        Assert.Contains("not finite at the start", fit.Reason, StringComparison.Ordinal);
        Assert.Equal([1, -1], fit.Parameters);
        Assert.All(fit.StandardErrors, e => Assert.Equal(double.NaN, e));
    }

    [Fact]
    public void A_domain_is_not_left()
    {
        var fit = LevenbergMarquardt.Fit((b, x) => torch.log(b[0] * x + b[1]), X, [.. X.Select(x => Math.Log(2 * x + 1))], [200, 0.01]);
        Assert.True(fit.Converged, fit.Reason);
        Assert.Equal(2, fit.Parameters[0], 1e-8);
        Assert.Equal(1, fit.Parameters[1], 1e-8);
    }

    [Fact]
    public void A_limit_of_steps_is_reported()
    {
        var fit = LevenbergMarquardt.Fit(Decay, X, [.. X.Select(x => 5 * Math.Exp(-0.3 * x))], [100, 3], new() { MaxSteps = 1 });
        Assert.Equal((LeastSquaresStatus.StepLimit, 1), (fit.Status, fit.Steps));
        Assert.Contains("limit of 1 step", fit.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_of_the_method_and_tolerances_have_an_effect()
    {
        double[] y = [.. X.Select(x => 5 * Math.Exp(-0.3 * x) + Math.Sin(9 * x) / 50)];
        CurveFit With(CurveFitOptions options) => LevenbergMarquardt.Fit(Decay, X, y, [1, 1], options);
        var fit = With(new());
        Assert.NotEqual(fit.Evaluations, With(new() { Method = new() { MaxAcceleration = null } }).Evaluations);
        Assert.True(With(new() { Tolerances = new() { Step = 0.1 } }).Steps < fit.Steps);
    }

    [Fact]
    public void The_text_has_names_values_and_the_reason()
    {
        double[] x = [1, 2, 3, 5, 7, 10],
            y = [109, 149, 149, 191, 213, 224];
        var fit = LevenbergMarquardt.Fit(
            (b, t) => b[0] * (1 - torch.exp(-b[1] * t)),
            x,
            y,
            [100, 0.75],
            new() { Names = ["demand", "rate"] }
        );
        var band = fit.Band([4.0]);
        TestContext.Current.SendDiagnosticMessage($"{fit}\n{band.Lower[0]} {band.Values[0]} {band.Upper[0]}");
        string[] lines = fit.ToString().Split(Environment.NewLine);
        Assert.Matches("^demand +213.80941 ± 12.4$", lines[0]);
        Assert.Matches("^rate +0.54723749 ± 0.105$", lines[1]);
        Assert.Matches(@"^RSS 1168.01, R² 0.880468, \d+ steps$", lines[2]);
        Assert.StartsWith("Converged", lines[3], StringComparison.Ordinal);
        Assert.Equal(["demand", "rate"], fit.Names);
    }

    [Fact]
    public void Fits_leave_no_tensors_behind()
    {
        Once();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 5; i++)
            Once();
        Assert.InRange(DisposeScopeManager.Statistics.ThreadTotalLiveCount, 0, before);

        static void Once()
        {
            var options = new CurveFitOptions
            {
                Weights = X,
                Lower = [0, double.NegativeInfinity],
                Loss = RobustLoss.SoftL1,
            };
            var fit = LevenbergMarquardt.Fit(Decay, X, Y, [1, -0.1], options);
            fit.Predict(X);
            fit.Band(X);
        }
    }
}
