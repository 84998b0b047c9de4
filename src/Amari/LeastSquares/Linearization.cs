using Amari.Solvers;

namespace Amari.LeastSquares;

/// <summary>Residuals and their Jacobian at one w: r(w + v) = R + J v + O(‖v‖²).</summary>
/// <remarks>The gradient of ½ ‖r‖² is J'R, and its Gauss-Newton matrix is J'J.</remarks>
public abstract class Linearization : IDisposable
{
    /// <summary>r : [n]. Owned by the linearization.</summary>
    public abstract Tensor R { get; }

    /// <summary>n.</summary>
    public long Rows => R.shape[0];

    /// <summary>d.</summary>
    public abstract long Columns { get; }

    /// <summary>J v : [n], or [n, k]; the caller owns it.</summary>
    /// <param name="v">[d], or k columns [d, k].</param>
    public abstract Tensor Apply(Tensor v);

    /// <summary>J'u : [d], or [d, k]; the caller owns it.</summary>
    /// <param name="u">[n], or k columns [n, k].</param>
    public abstract Tensor ApplyTransposed(Tensor u);

    /// <summary>J : [n, d]; the caller owns it.</summary>
    public abstract Tensor Jacobian();

    /// <summary>The 2-norms of the columns of J : [d]; the caller owns it. Here by blocks of rows of J.</summary>
    public virtual Tensor ColumnNorms()
    {
        const long rows = 128;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var sums = zeros(Columns, dtype: R.dtype, device: R.device);
        for (long start = 0; start < Rows; start += rows)
        {
            using var inner = NewDisposeScope();
            long count = Math.Min(rows, Rows - start);
            var units = zeros([Rows, count], dtype: R.dtype, device: R.device);
            units.narrow(0, start, count).diagonal().fill_(1);
            sums.add_(ApplyTransposed(units).pow_(2).sum([1L]));
        }
        return sums.sqrt_().MoveToOuterDisposeScope();
    }

    /// <summary>J'J on R^d.</summary>
    public abstract LinearOperator Normal { get; }

    /// <summary>J J' on R^n. Its <see cref="LinearOperator.ToDense"/> does not form J where that saves memory.</summary>
    public abstract LinearOperator Gram { get; }

    /// <summary>Bytes of <see cref="Jacobian"/>.</summary>
    public long JacobianBytes => Rows * Columns * R.ElementSize;

    /// <summary>Bytes that <see cref="Normal"/> takes as a matrix [d, d], with what it needs to make it.</summary>
    public virtual long NormalBytes => Columns * Columns * R.ElementSize + JacobianBytes;

    /// <summary>Bytes that <see cref="Gram"/> takes as a matrix [n, n], with what it needs to make it; the largest number where it cannot
    /// be made, because rows are divided over ranks.</summary>
    public virtual long GramBytes => Rows * Rows * R.ElementSize + JacobianBytes;

    /// <summary>Bytes that the linearization holds, from which products stream.</summary>
    public virtual long HeldBytes => JacobianBytes;

    /// <summary>Why a slower way was taken, in words that follow "because"; null if none was.</summary>
    public virtual string? Fallback => null;

    /// <summary>Whether columns of J are zeros because their parameters are held at a bound.</summary>
    internal virtual bool IsHeld => false;

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Releases the tensors.</summary>
    protected virtual void Dispose(bool disposing) { }
}
