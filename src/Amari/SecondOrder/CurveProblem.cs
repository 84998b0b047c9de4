using Amari.LeastSquares;
using Amari.Native;

namespace Amari.SecondOrder;

/// <summary>A curve fit: checks its data, solves it, and measures the result. Its tensors belong to the scope of the caller.</summary>
internal sealed class CurveProblem
{
    private static readonly LevenbergMarquardt.Options Method = new() { Solver = new LinearSolver.Qr() };

    private const double Smallest = 1e-140; // of numbers whose squares are added
    private readonly CurveFunction _f;
    private readonly Tensor _x,
        _y;
    private readonly Tensor? _weights;
    private readonly double[] _start;
    private readonly CurveFitOptions _options;
    private readonly ParameterBounds? _bounds;
    private readonly long _counted; // data with a weight above 0

    /// <exception cref="ArgumentException">As of <see cref="LevenbergMarquardt"/>'s <c>Fit</c>.</exception>
    public CurveProblem(Func<Tensor, Tensor, Tensor> f, Tensor x, Tensor y, IReadOnlyList<double> start, CurveFitOptions options)
    {
        (_f, _start, _options) = (new(f), [.. start], options);
        if (x.dim() is not (1 or 2) || x.shape[0] == 0)
            throw new ArgumentException(
                $"x is [{string.Join(", ", x.shape)}]; it must be [n], or [n, k] for k predictors, with at least one datum.",
                nameof(x)
            );
        long n = x.shape[0];
        if (y.dim() != 1 || y.shape[0] != n)
            throw new ArgumentException(
                $"y is [{string.Join(", ", y.shape)}]; it must be [{n}], a number for each of the {n} values of x.",
                nameof(y)
            );
        (_x, _y) = (Finite("x", x), Finite("y", y));
        RequireStart();
        _bounds = Bounds();
        if (options.Names is { } names && names.Count != _start.Length)
            throw new ArgumentException($"{Are(names.Count, "name")} for {Count(_start.Length, "parameter")}; there must be one for each.");
        _counted = n;
        if (options.Weights is { } weights)
        {
            if (weights.Count != n)
                throw new ArgumentException($"{Are(weights.Count, "weight")} for {Data(n)}; there must be one for each.");
            if (weights.FirstOrDefault(w => !(w >= 0 && double.IsFinite(w)), 0) is not 0.0 and var bad)
                throw new ArgumentException(FormattableString.Invariant($"A weight is {bad}; it must be a finite number >= 0."));
            _weights = tensor((double[])[.. weights], dtype: ScalarType.Float64);
            _counted = weights.Count(w => w > 0);
        }
        else if (options.AbsoluteWeights)
            throw new ArgumentException("AbsoluteWeights needs Weights, which are then 1 / σ of each datum.");
        if (options is { AbsoluteWeights: true, Loss: not RobustLoss.Squares })
            throw new ArgumentException(
                $"AbsoluteWeights needs the loss Squares; it is {options.Loss}, for which the spread of the residuals is estimated."
            );
        if (_counted < _start.Length)
            throw new ArgumentException(
                $"There {(_counted == 1 ? "is" : "are")} {Data(_counted)} for {Count(_start.Length, "parameter")}; "
                    + "there must be at least as many data, with weights above 0."
            );
        RequireRange();
        if (options.Method is { LearningRate: 0 })
            throw new ArgumentException("LearningRate of Method is 0, so no step changes the parameters; it must be > 0.");
    }

    private static string Count(long count, string noun) => $"{count} {noun}{(count == 1 ? "" : "s")}";

    private static string Are(long count, string noun) => $"There {(count == 1 ? "is" : "are")} {Count(count, noun)}";

    private static string Data(long count) => count == 1 ? "1 datum" : $"{count} data";

    /// <summary>Numbers whose squares would vanish: a loss of 0 would pass for a perfect fit.</summary>
    private void RequireRange()
    {
        double largest = Weighted(_y).abs().max().ToDouble();
        if (largest is > 0 and < Smallest)
            throw new ArgumentException(
                FormattableString.Invariant($"The largest |w y| is {largest}, whose square vanishes in float64; ")
                    + FormattableString.Invariant($"scale y or the weights so that it is at least {Smallest}.")
            );
        if (_options.Loss != RobustLoss.Squares && _options.LossScale < Smallest)
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"LossScale is {_options.LossScale}; it must be at least {Smallest}, or squares vanish in float64."
                )
            );
    }

    private void RequireStart()
    {
        if (_start.Length == 0)
            throw new ArgumentException("start is empty; it must have a number for each parameter.", nameof(_start));
        int bad = Array.FindIndex(_start, s => !double.IsFinite(s));
        if (bad >= 0)
            throw new ArgumentException(FormattableString.Invariant($"start[{bad}] is {_start[bad]}; it must be finite."));
    }

    private static Tensor Finite(string name, Tensor data)
    {
        if (!data.is_floating_point() && !data.is_integral())
            throw new ArgumentException($"{name} is {data.dtype}; it must be of real numbers.");
        var numbers = data.to_type(ScalarType.Float64).detach();
        double[] all = numbers.Elements<double>();
        int bad = Array.FindIndex(all, v => !double.IsFinite(v));
        if (bad < 0)
            return numbers;
        string place = data.dim() == 1 ? $"{bad}" : $"{bad / data.shape[1]}, {bad % data.shape[1]}";
        throw new ArgumentException(FormattableString.Invariant($"{name}[{place}] is {all[bad]}; the data must be finite."));
    }

    private ParameterBounds? Bounds()
    {
        int p = _start.Length;
        double[] lower = Of("Lower", _options.Lower, double.NegativeInfinity),
            upper = Of("Upper", _options.Upper, double.PositiveInfinity);
        for (int i = 0; i < p; i++)
        {
            if (!(lower[i] < upper[i]))
                throw new ArgumentException(
                    FormattableString.Invariant(
                        $"The bounds of parameter {i} are {lower[i]} and {upper[i]}; the lower one must be smaller."
                    )
                );
            if (_start[i] < lower[i] || _start[i] > upper[i])
                throw new ArgumentException(
                    FormattableString.Invariant($"start[{i}] is {_start[i]}; it must be within its bounds, {lower[i]} and {upper[i]}.")
                );
        }
        return lower.All(double.IsNegativeInfinity) && upper.All(double.IsPositiveInfinity) ? null : new(lower, upper);

        double[] Of(string name, IReadOnlyList<double>? bounds, double none) =>
            bounds is null ? [.. Enumerable.Repeat(none, p)]
            : bounds.Count == p ? [.. bounds]
            : throw new ArgumentException(
                $"{name} has {Count(bounds.Count, "bound")} for {Count(p, "parameter")}; there must be one for each."
            );
    }

    /// <summary>The fit.</summary>
    public CurveFit Solve()
    {
        using var bounds = _bounds;
        using var b = new Parameter(tensor(_start, dtype: ScalarType.Float64));
        var residuals = new CurveResiduals(_f, _x, _y, b, _weights, _options.Loss, _options.LossScale, bounds);
        using var method = new LevenbergMarquardt(residuals, _options.Method ?? Method);
        var result = method.Solve(_options.MaxSteps, _options.Tolerances ?? LeastSquaresTolerances.ToRounding);
        var end = bounds?.Project(b) ?? b.detach();
        return Measure(end, bounds?.At(end) ?? new bool[_start.Length], result);
    }

    /// <summary>The weighted residuals and their derivatives with respect to b, without bounds and robust loss.</summary>
    private CurveLinearization Linearize(Tensor b) =>
        CurveLinearization.Of(w => Weighted(_f.Values(w, _x) - _y), b, _y.shape[0], _f.IsPointwise == true);

    private CurveFit Measure(Tensor b, bool[] atBound, LeastSquaresResult result)
    {
        double[] parameters = b.Elements<double>();
        string[] names = [.. _options.Names ?? Enumerable.Range(0, parameters.Length).Select(i => $"b[{i}]")];
        var notes = new List<string>();
        int[] held = [.. Enumerable.Range(0, parameters.Length).Where(i => atBound[i])];
        if (held.Length > 0)
            notes.Add(
                $"{string.Join(", ", held.Select(i => names[i]))} ended at a bound: "
                    + (held.Length == 1 ? "it counts" : "they count")
                    + " as fixed in the other standard errors, and "
                    + (held.Length == 1 ? "has none itself." : "have none themselves.")
            );
        using var linear = Linearize(b);
        double rss = linear.R.dot(linear.R).ToDouble();
        bool finite = double.IsFinite(rss) && linear.Jacobian().isfinite().all().ToBoolean();
        var covariance = new double[parameters.Length, parameters.Length];
        if (finite)
            Fill(covariance, linear, held, names, notes);
        return new(_f, _x.dim() == 1 ? 0 : _x.shape[1], covariance)
        {
            Parameters = parameters,
            Names = names,
            StandardErrors = [.. parameters.Select((_, i) => !finite || held.Contains(i) ? double.NaN : Math.Sqrt(covariance[i, i]))],
            ResidualSumOfSquares = rss,
            Loss = result.Loss,
            RSquared = RSquared(rss),
            DegreesOfFreedom = _counted - parameters.Length + held.Length,
            Status = result.Status,
            Converged = result.Converged,
            Reason = result.Reason,
            Notes = notes,
            Steps = result.Steps,
            Evaluations = result.Evaluations,
            Jacobians = result.Linearizations,
            IsAbsolute = _options.AbsoluteWeights,
        };
    }

    /// <summary>The covariance of the parameters that are not held at a bound.</summary>
    private void Fill(double[,] covariance, CurveLinearization at, int[] held, string[] names, List<string> notes)
    {
        int[] free = [.. Enumerable.Range(0, names.Length).Except(held)];
        if (free.Length == 0)
            return;
        var columns = tensor(free.Select(i => (long)i).ToArray(), dtype: ScalarType.Int64);
        var (inverse, rank) = CurveCovariance.Inverse(at.Jacobian().index_select(1, columns));
        var counted = _weights is null ? at.R : at.R[_weights.gt(0)];
        double variance = _options.AbsoluteWeights ? 1 : CurveCovariance.Variance(counted, free.Length, _options.Loss, _options.LossScale);
        if (rank < free.Length)
            notes.Add(
                $"The data determine {Count(rank, "combination")} of the {Count(free.Length, "parameter")}: the standard errors are "
                    + "infinite. Fix a parameter, or bound it."
            );
        else if (double.IsPositiveInfinity(variance))
            notes.Add("There are as many data as parameters: the standard errors are infinite, because the data do not show their noise.");
        double[] values = inverse.Elements<double>();
        for (int i = 0; i < free.Length; i++)
        for (int j = 0; j < free.Length; j++)
            covariance[free[i], free[j]] =
                double.IsPositiveInfinity(variance) || rank < free.Length
                    ? double.PositiveInfinity
                    : variance * values[i * free.Length + j];
    }

    private double RSquared(double rss)
    {
        var square = _weights?.square() ?? ones_like(_y);
        var mean = square.dot(_y) / square.sum();
        double total = square.dot((_y - mean).square()).ToDouble();
        return total > 0 ? 1 - rss / total : double.NaN;
    }

    private Tensor Weighted(Tensor r) => _weights is null ? r : r * _weights;
}
