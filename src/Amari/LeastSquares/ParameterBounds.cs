namespace Amari.LeastSquares;

/// <summary>Bounds of parameters by a change of variables, as in MINUIT: every real u gives a b within the bounds.</summary>
/// <remarks><code>
/// lower and upper:  b = l + (h - l) (1 + sin u) / 2
/// lower only:       b = l - 1 + √(1 + u²)
/// upper only:       b = h + 1 - √(1 + u²)
/// none:             b = u
/// </code>At a bound ∂b/∂u is 0, so a start there would stay there: it is moved inside. Owns its tensors.</remarks>
internal sealed class ParameterBounds : IDisposable
{
    private const double Inside = 1e-3; // how far a start is moved from its bound, relative to the range or to the bound
    private readonly double[] _lower,
        _upper;
    private readonly Tensor _low,
        _high,
        _hasLow,
        _hasHigh;

    /// <param name="lower">[p], finite or -∞.</param>
    /// <param name="upper">[p], finite or +∞, above the lower ones.</param>
    public ParameterBounds(double[] lower, double[] upper)
    {
        (_lower, _upper) = (lower, upper);
        (_low, _hasLow) = Column(lower);
        (_high, _hasHigh) = Column(upper);

        static (Tensor, Tensor) Column(double[] bound)
        {
            using var scope = NewDisposeScope();
            var all = tensor(bound, dtype: ScalarType.Float64).unsqueeze(1);
            var finite = all.isfinite();
            return (where(finite, all, 0).DetachFromDisposeScope(), finite.DetachFromDisposeScope());
        }
    }

    /// <summary>b of u, differentiable, with the shape of u: [p] or [p, n].</summary>
    public Tensor Outer(Tensor u)
    {
        var v = u.dim() == 1 ? u.unsqueeze(1) : u;
        var root = v.square().add(1).sqrt() - 1;
        var between = _low + (_high - _low) / 2 * (v.sin() + 1);
        var b = where(_hasLow & _hasHigh, between, where(_hasLow, _low + root, where(_hasHigh, _high - root, v)));
        return u.dim() == 1 ? b.squeeze(1) : b;
    }

    /// <summary>u of a b within the bounds; one at a bound is moved inside first.</summary>
    public double[] Inner(double[] b) =>
        [
            .. b.Select(
                (value, i) =>
                {
                    var (l, h) = (_lower[i], _upper[i]);
                    double range = h - l;
                    return (double.IsFinite(l), double.IsFinite(h)) switch
                    {
                        (true, true) => Math.Asin(2 * (Math.Clamp(value, l + Inside * range, h - Inside * range) - l) / range - 1),
                        (true, false) => Root(Math.Max(value - l, Inside * Math.Max(1, Math.Abs(l)))),
                        (false, true) => Root(Math.Max(h - value, Inside * Math.Max(1, Math.Abs(h)))),
                        _ => value,
                    };
                }
            ),
        ];

    /// <summary>Whether a parameter is at a bound up to a relative 1e-6, where its derivative with respect to u vanishes.</summary>
    public bool IsAtBound(int i, double b)
    {
        const double near = 1e-6;
        var (l, h) = (_lower[i], _upper[i]);
        double unit = double.IsFinite(h - l) ? h - l : Math.Max(1, Math.Abs(b));
        return b - l < near * unit || h - b < near * unit;
    }

    private static double Root(double distance) => Math.Sqrt(distance * (distance + 2)); // √((1 + d)² - 1)

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in (Tensor[])[_low, _high, _hasLow, _hasHigh])
            tensor.Dispose();
    }
}
