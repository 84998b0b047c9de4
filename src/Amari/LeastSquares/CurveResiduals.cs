using Amari.Curvature;
using Amari.Native;

namespace Amari.LeastSquares;

/// <summary>The residuals of a curve fit: r_i = w_i (f(b, x_i) - y_i), for a function of few parameters b.</summary>
/// <remarks>If f is pointwise (the value at a datum depends on b and that datum alone), one backward pass gives all of J, and two the exact
/// second derivative along a direction. Whether it is, is checked at each linearization; other functions get J by a backward pass for each
/// datum, and a second derivative by differences, which is reported once on standard error.</remarks>
public sealed class CurveResiduals : Residuals
{
    private readonly CurveFunction _f;
    private readonly Tensor _x,
        _y;
    private readonly Parameter _b;
    private readonly Tensor? _weights;
    private readonly ParameterBounds? _bounds;
    private readonly RobustLoss _loss;
    private readonly double _scale,
        _size; // |y|, with weights
    private bool? _isPointwise; // of f on these data; null before the first linearization
    private bool _isOnceDifferentiable;
    private double[]? _last; // with bounds: b at the last linearization

    /// <param name="f">f(b, x) : [n], in operations on tensors; <c>b[0]</c>, <c>b[1]</c>, ... are its parameters.</param>
    /// <param name="x">[n], or [n, k] for k predictors. Not owned.</param>
    /// <param name="y">[n], of the dtype of b. Not owned.</param>
    /// <param name="b">[p]. Not owned.</param>
    /// <param name="weights">w : [n], at least 0, such as 1 / σ; null for ones. Not owned.</param>
    /// <param name="loss">How the size of a weighted residual counts.</param>
    /// <param name="lossScale">The size from which a weighted residual is an outlier, > 0.</param>
    /// <exception cref="ArgumentException">Shapes or dtypes do not fit.</exception>
    public CurveResiduals(
        Func<Tensor, Tensor, Tensor> f,
        Tensor x,
        Tensor y,
        Parameter b,
        Tensor? weights = null,
        RobustLoss loss = RobustLoss.Squares,
        double lossScale = 1
    )
        : this(new CurveFunction(f ?? throw new ArgumentNullException(nameof(f))), x, y, b, weights, loss, lossScale, null) { }

    /// <param name="f">f.</param>
    /// <param name="x">x.</param>
    /// <param name="y">y.</param>
    /// <param name="b">The parameters. With bounds, the residuals are those of the nearest point within them, where each linearization
    /// puts b.</param>
    /// <param name="weights">w.</param>
    /// <param name="loss">ρ.</param>
    /// <param name="lossScale">s.</param>
    /// <param name="bounds">Null for none. Not owned.</param>
    internal CurveResiduals(
        CurveFunction f,
        Tensor x,
        Tensor y,
        Parameter b,
        Tensor? weights,
        RobustLoss loss,
        double lossScale,
        ParameterBounds? bounds
    )
    {
        ArgumentNullException.ThrowIfNull(x);
        ArgumentNullException.ThrowIfNull(y);
        ArgumentNullException.ThrowIfNull(b);
        (_f, _x, _y, _b, _weights, _bounds) = (f, x, y, b, weights, bounds);
        (_loss, _scale) = (Require.Defined(loss), Require.Positive(lossScale));
        Parameters = new([("b", b)]);
        if (b.dim() != 1)
            throw new ArgumentException($"b is [{Shape(b)}]; it must be a vector [p].", nameof(b));
        if (x.dim() is not (1 or 2) || x.shape[0] == 0)
            throw new ArgumentException($"x is [{Shape(x)}]; it must be [n], or [n, k] for k predictors, with n > 0.", nameof(x));
        foreach (var (name, tensor) in ((string, Tensor?)[])[("y", y), ("weights", weights)])
            if (tensor is not null && (tensor.dim() != 1 || tensor.shape[0] != x.shape[0] || tensor.dtype != b.dtype))
                throw new ArgumentException(
                    $"{name} is {tensor.dtype} [{Shape(tensor)}]; it must be {b.dtype} [{x.shape[0]}], a number for each row of x."
                );

        using var off = no_grad();
        using var scope = NewDisposeScope();
        _size = (weights is null ? y : y * weights).norm().ToDouble();

        static string Shape(Tensor t) => string.Join(", ", t.shape);
    }

    /// <inheritdoc/>
    public override ParameterLayout Parameters { get; }

    internal override double RoundingOfNorm(double size) => finfo(_b.dtype).eps * (_size + size);

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The function did not return one number for each datum.</exception>
    public override Tensor Values()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var b = _bounds?.Project(_b) ?? _b.detach();
        var w = _isPointwise == true ? CurveFunction.Repeated(b, _y.shape[0]) : b;
        return Residual(w).clone().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The function did not return one number for each datum, or does not depend on the parameters
    /// through operations on tensors.</exception>
    /// <exception cref="InvalidOperationException">It has no derivative; the message says why.</exception>
    public override Linearization Linearize()
    {
        if (_isPointwise is null)
        {
            using var scope = NewDisposeScope();
            using var off = no_grad();
            _isPointwise = _f.Examine(_b, _x);
        }
        return _bounds is null ? At() : Within(_bounds);
    }

    private CurveLinearization At()
    {
        if (_isPointwise == true)
        {
            var at = CurveLinearization.Of(Residual, _b, _y.shape[0], pointwise: true);
            if (!at.IsFinite || CurveFunction.Confirms(Residual, _b, at))
                return at;
            at.Dispose();
            _f.Refute();
            _isPointwise = false;
        }
        return CurveLinearization.Of(Residual, _b, _y.shape[0], pointwise: false);
    }

    /// <summary>Puts b within the bounds, and linearizes there. If J is not finite at a bound that was just reached, as that of a root at
    /// 0, b goes a little back.</summary>
    private CurveLinearization Within(ParameterBounds bounds)
    {
        using var scope = NewDisposeScope();
        Put(bounds.Project(_b));
        var at = At();
        if (_last is not null && !at.IsFinite)
        {
            at.Dispose();
            Put(bounds.Inside(_b, tensor(_last, dtype: ScalarType.Float64)));
            at = At();
        }
        _last = _b.Elements<double>();
        at.Hold(bounds.Holds(_b, at.ApplyTransposed(at.R)));
        return at;
    }

    private void Put(Tensor b)
    {
        using var off = no_grad();
        _b.copy_(b);
    }

    /// <inheritdoc/>
    public override Tensor SecondDerivative(Linearization at, Tensor v)
    {
        const string differences = "The acceleration of a curve fit is computed by differences.";
        if (at is CurveLinearization { HasSecondDerivative: true } curve && !_isOnceDifferentiable)
            try
            {
                var exact = curve.SecondDerivative(v);
                using var scope = NewDisposeScope();
                using var off = no_grad();
                var finite = exact.isfinite();
                if (finite.all().ToBoolean())
                    return exact;
                Warnings.Once($"{differences} At some data it has no finite derivative, as a power of 0.");
                var mixed = where(finite, exact, base.SecondDerivative(at, v)).MoveToOuterDisposeScope();
                exact.Dispose();
                return mixed;
            }
            catch (InvalidOperationException e)
            {
                _isOnceDifferentiable = true;
                Warnings.Once($"{differences} {e.Message}");
            }
        return base.SecondDerivative(at, v);
    }

    /// <summary>r of the parameters [p], or [p, n].</summary>
    private Tensor Residual(Tensor w)
    {
        var r = _f.Values(w, _x) - _y;
        return RobustResiduals.Of(_weights is null ? r : r * _weights, _loss, _scale);
    }
}
