using System.Globalization;
using System.Text;
using Amari.LeastSquares;
using Amari.Native;

namespace Amari;

/// <summary>A curve f(b, x) fitted to data: the result of <see cref="LevenbergMarquardt"/>'s <c>Fit</c>.</summary>
/// <example><code>
/// double[] x = [1, 2, 3, 5, 7, 10], y = [109, 149, 149, 191, 213, 224];
/// CurveFit fit = LevenbergMarquardt.Fit((b, x) => b[0] * (1 - exp(-b[1] * x)), x, y, [100, 0.75]);
/// Console.WriteLine(fit);                                 // parameters with standard errors, and why the fit ended
/// CurveBand band = fit.Band([4.0]);
/// Console.WriteLine($"{band.Lower[0]} to {band.Upper[0]}");
/// </code></example>
public sealed record CurveFit
{
    private readonly CurveFunction _f;
    private readonly long _predictors; // 0 for x : [n]
    private readonly double[,] _covariance; // zeros for parameters at a bound

    internal CurveFit(CurveFunction f, long predictors, double[,] covariance) =>
        (_f, _predictors, _covariance) = (f, predictors, covariance);

    /// <summary>b : [p] at the end; after a failure those of the last good step.</summary>
    public required IReadOnlyList<double> Parameters { get; init; }

    /// <summary>Their names.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>The standard error of each parameter. NaN for one at a bound, and after a failure; infinite if the data do not determine
    /// the parameters, or are as many as they.</summary>
    public required IReadOnlyList<double> StandardErrors { get; init; }

    /// <summary>The covariance of two parameters; as for <see cref="StandardErrors"/>, which are the roots of its diagonal.</summary>
    /// <param name="i">0 ≤ i &lt; p.</param>
    /// <param name="j">0 ≤ j &lt; p.</param>
    public double Covariance(int i, int j) =>
        double.IsNaN(StandardErrors[i]) || double.IsNaN(StandardErrors[j]) ? double.NaN : _covariance[i, j];

    /// <summary>RSS = Σ (w (f - y))².</summary>
    public required double ResidualSumOfSquares { get; init; }

    /// <summary>The minimised loss, ½ Σ s² ρ((w (f - y) / s)²): half of <see cref="ResidualSumOfSquares"/> unless it is robust.</summary>
    public required double Loss { get; init; }

    /// <summary>R² = 1 - RSS / Σ (w (y - ȳ))², where ȳ is the mean of y with the weights w²; NaN if y is constant.</summary>
    public required double RSquared { get; init; }

    /// <summary>n - p: the number of data with a weight above 0, less that of the parameters.</summary>
    public required long DegreesOfFreedom { get; init; }

    /// <summary>The standard deviation of a weighted residual, √(RSS / (n - p)); NaN without degrees of freedom.</summary>
    public double ResidualStandardDeviation => DegreesOfFreedom > 0 ? Math.Sqrt(ResidualSumOfSquares / DegreesOfFreedom) : double.NaN;

    /// <summary>Why it ended.</summary>
    public required LeastSquaresStatus Status { get; init; }

    /// <summary>Whether the parameters are a minimum up to a tolerance.</summary>
    public required bool Converged { get; init; }

    /// <summary>The status in words, with what to try next.</summary>
    public required string Reason { get; init; }

    /// <summary>What limits the use of the result, one sentence each: parameters at a bound, or that the data do not determine.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>Number of steps, rejected ones included.</summary>
    public required long Steps { get; init; }

    /// <summary>Number of evaluations of the residuals, not counting those of the Jacobians.</summary>
    public required long Evaluations { get; init; }

    /// <summary>Number of Jacobians.</summary>
    public required long Jacobians { get; init; }

    /// <summary>Whether the variance of the residuals is known.</summary>
    internal bool IsAbsolute { get; init; }

    /// <summary>f(b, x) : [m], float64; the caller owns it.</summary>
    /// <param name="x">[m], or [m, k] if there are k predictors.</param>
    public Tensor Predict(Tensor x)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var b = tensor((double[])[.. Parameters], dtype: ScalarType.Float64);
        return _f.Values(b, Checked(x)).clone().MoveToOuterDisposeScope();
    }

    /// <summary>f(b, x) at every point of one predictor.</summary>
    public double[] Predict(double[] x)
    {
        using var points = Points(x);
        using var values = Predict(points);
        return values.Elements<double>();
    }

    /// <summary>The curve with its confidence band at each point: f ± t √(g' C g) with g = ∂f/∂b, the covariance C of the parameters, and
    /// the quantile t of Student's distribution (of the normal one for <see cref="CurveFitOptions.AbsoluteWeights"/>).</summary>
    /// <remarks>It is the band of the curve's mean to first order in the noise, at each point by itself; new data scatter more.</remarks>
    /// <param name="x">[m], or [m, k] if there are k predictors.</param>
    /// <param name="level">The probability with which the band covers the curve at a point, in (0, 1).</param>
    public CurveBand Band(Tensor x, double level = 0.95)
    {
        Require.Share(level, nameof(level));
        using var scope = NewDisposeScope();
        var points = Checked(x);
        var b = tensor((double[])[.. Parameters], dtype: ScalarType.Float64);
        using var at = CurveLinearization.Of(w => _f.Values(w, points), b, points.shape[0], _f.IsPointwise == true);
        double[] values = at.R.Elements<double>(),
            jacobian = at.Jacobian().Elements<double>();
        int p = Parameters.Count;
        double t =
            DegreesOfFreedom > 0 || IsAbsolute
                ? StudentT.Quantile(level, IsAbsolute ? long.MaxValue : DegreesOfFreedom)
                : double.PositiveInfinity;
        double[] half = [.. values.Select((_, m) => t * Math.Sqrt(Variance(jacobian.AsSpan(m * p, p))))];
        return new(values, [.. values.Zip(half, (f, h) => f - h)], [.. values.Zip(half, (f, h) => f + h)]);
    }

    /// <inheritdoc cref="Band(Tensor, double)"/>
    public CurveBand Band(double[] x, double level = 0.95)
    {
        using var points = Points(x);
        return Band(points, level);
    }

    /// <summary>g' C g; infinite where g has a part whose covariance is.</summary>
    private double Variance(ReadOnlySpan<double> g)
    {
        double sum = 0;
        for (int i = 0; i < g.Length; i++)
        for (int j = 0; j < g.Length; j++)
        {
            if (g[i] == 0 || g[j] == 0)
                continue;
            if (double.IsPositiveInfinity(_covariance[i, j]))
                return double.PositiveInfinity;
            sum += g[i] * _covariance[i, j] * g[j];
        }
        return sum;
    }

    private Tensor Checked(Tensor x)
    {
        ArgumentNullException.ThrowIfNull(x);
        return (_predictors == 0 ? x.dim() == 1 : x.dim() == 2 && x.shape[1] == _predictors) && x.shape[0] > 0
            ? x.to_type(ScalarType.Float64)
            : throw new ArgumentException(
                $"x is [{string.Join(", ", x.shape)}]; it must be [m{(_predictors == 0 ? "" : $", {_predictors}")}] with m > 0, "
                    + "as in the fit.",
                nameof(x)
            );
    }

    private static Tensor Points(double[] x)
    {
        ArgumentNullException.ThrowIfNull(x);
        return tensor(x, dtype: ScalarType.Float64);
    }

    /// <summary>A table of the parameters with their standard errors, then the quality of the fit, the reason and the notes.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        int width = Names.Max(n => n.Length);
        for (int i = 0; i < Names.Count; i++)
            text.AppendLine(
                CultureInfo.InvariantCulture,
                $"{Names[i].PadRight(width)}  {Parameters[i], 16:G8} ± {StandardErrors[i].ToString("G3", CultureInfo.InvariantCulture)}"
            );
        text.AppendLine(CultureInfo.InvariantCulture, $"RSS {ResidualSumOfSquares:G6}, R² {RSquared:G6}, {Steps} steps");
        text.Append(string.Join(' ', [Reason, .. Notes]));
        return text.ToString();
    }
}
