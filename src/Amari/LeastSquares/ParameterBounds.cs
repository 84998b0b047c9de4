using Amari.Native;

namespace Amari.LeastSquares;

/// <summary>Bounds of parameters by projection: a step that crosses a bound ends at it, and a parameter that is at a bound, where the loss
/// falls to the outside, is held there for a step.</summary>
/// <remarks>For large damping a step has the direction -D⁻²g with a diagonal D, so its projection reduces the loss unless the parameters
/// are a minimum within the bounds (Bertsekas 1982, doi:10.1137/0320018). Parameters inside are treated as without bounds, in whatever unit
/// they are. Owns its tensors.</remarks>
internal sealed class ParameterBounds : IDisposable
{
    private readonly Tensor _low,
        _high;

    /// <param name="lower">[p], finite or -∞.</param>
    /// <param name="upper">[p], finite or +∞, above the lower ones.</param>
    public ParameterBounds(double[] lower, double[] upper) =>
        (_low, _high) = (
            tensor(lower, dtype: ScalarType.Float64).DetachFromDisposeScope(),
            tensor(upper, dtype: ScalarType.Float64).DetachFromDisposeScope()
        );

    /// <summary>The point within the bounds nearest to b : [p], without a graph; the caller owns it.</summary>
    public Tensor Project(Tensor b)
    {
        using var off = no_grad();
        using var above = b.maximum(_low);
        return above.minimum(_high);
    }

    /// <summary>Whether each parameter is at a bound.</summary>
    /// <param name="b">[p], within the bounds.</param>
    public bool[] At(Tensor b)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return [.. (b.eq(_low) | b.eq(_high)).to_type(ScalarType.Byte).Elements<byte>().Select(at => at != 0)];
    }

    /// <summary>Whether each parameter is at a bound from where the loss does not fall to the inside : [p]; the caller owns it.</summary>
    /// <param name="b">[p], within the bounds.</param>
    /// <param name="gradient">The gradient of the loss : [p].</param>
    public Tensor Holds(Tensor b, Tensor gradient)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return ((b.eq(_low) & gradient.ge(0)) | (b.eq(_high) & gradient.le(0))).MoveToOuterDisposeScope();
    }

    /// <summary>Takes parameters that are at a bound a little back to where they were.</summary>
    /// <param name="b">[p], within the bounds.</param>
    /// <param name="last">Where they were : [p].</param>
    /// <returns>[p]; the caller owns it.</returns>
    public Tensor Inside(Tensor b, Tensor last)
    {
        const double share = 1e-3; // of the way
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return where(b.eq(_low) | b.eq(_high), b + share * (last - b), b).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _low.Dispose();
        _high.Dispose();
    }
}
