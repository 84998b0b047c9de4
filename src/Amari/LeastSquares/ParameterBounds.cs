namespace Amari.LeastSquares;

/// <summary>Bounds of parameters by a change of variables, as in MINUIT: every real u gives a b within the bounds.</summary>
/// <remarks><code>
/// lower and upper:  b = l + (h - l) (1 + sin u) / 2
/// lower only:       b = l - 1 + √(1 + u²)
/// upper only:       b = h + 1 - √(1 + u²)
/// none:             b = u
/// </code>At a bound ∂b/∂u is 0, so a start there would stay there: it is moved inside. For the same reason a minimum at a bound is
/// reached slowly; <see cref="Hold"/> then puts the parameter there. Owns its tensors.</remarks>
internal sealed class ParameterBounds : IDisposable
{
    private const double Inside = 1e-3; // how far a start is moved from its bound, relative to the range or to the bound
    private readonly double[] _lower,
        _upper;
    private readonly Tensor _low,
        _high,
        _hasLow,
        _hasHigh;
    private Tensor? _held, // whether a parameter is held, and where : [p, 1]
        _at;

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
        var (sine, half) = (v.sin(), (_high - _low) / 2);
        var between = where(sine.lt(0), _low + half * (1 + sine), _high - half * (1 - sine)); // rounding leaves no bound
        var b = where(_hasLow & _hasHigh, between, where(_hasLow, _low + root, where(_hasHigh, _high - root, v)));
        if (_held is not null)
            b = where(_held, _at!, b);
        return u.dim() == 1 ? b.squeeze(1) : b;
    }

    /// <summary>Holds some parameters at fixed values: b no longer depends on their u.</summary>
    /// <param name="values">[p]; null for one that is free.</param>
    public void Hold(double?[] values)
    {
        _held?.Dispose();
        _at?.Dispose();
        using var scope = NewDisposeScope();
        _held = tensor(values.Select(v => v is not null).ToArray()).unsqueeze(1).DetachFromDisposeScope();
        _at = tensor(values.Select(v => v ?? 0).ToArray(), dtype: ScalarType.Float64).unsqueeze(1).DetachFromDisposeScope();
    }

    /// <summary>The bound that a value is nearer to than a hundredth of the range, or of its size; null if none.</summary>
    public double? Near(int i, double b)
    {
        const double near = 1e-2;
        var (l, h) = (_lower[i], _upper[i]);
        double unit = double.IsFinite(h - l) ? h - l : Math.Max(1, Math.Abs(b));
        return b - l < near * unit ? l
            : h - b < near * unit ? h
            : null;
    }

    /// <summary>Whether the loss rises from a bound to the inside.</summary>
    /// <param name="i">The parameter.</param>
    /// <param name="bound">Its bound.</param>
    /// <param name="gradient">The derivative of the loss with respect to b.</param>
    public bool IsMinimal(int i, double bound, double gradient) => bound == _lower[i] ? gradient >= 0 : gradient <= 0;

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

    private static double Root(double distance) => Math.Sqrt(distance * (distance + 2)); // √((1 + d)² - 1)

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in (Tensor?[])[_low, _high, _hasLow, _hasHigh, _held, _at])
            tensor?.Dispose();
    }
}
