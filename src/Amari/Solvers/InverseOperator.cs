using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>b → x with C x = b, as an operator. The quality of the last solve can be read after each product.</summary>
public abstract class InverseOperator : LinearOperator
{
    private protected InverseOperator(LinearOperator inverted)
    {
        ArgumentNullException.ThrowIfNull(inverted);
        Inverted = inverted;
    }

    /// <summary>C. Not owned.</summary>
    public LinearOperator Inverted { get; }

    /// <summary>The report of the last product; null before the first.</summary>
    public InverseReport? LastReport { get; private set; }

    /// <inheritdoc/>
    public override long Dimension => Inverted.Dimension;

    /// <inheritdoc/>
    public override ScalarType Type => Inverted.Type;

    /// <inheritdoc/>
    public override Device Device => Inverted.Device;

    /// <inheritdoc/>
    protected sealed override Tensor Product(Tensor v)
    {
        (var x, LastReport) = Solve(v);
        return x;
    }

    /// <summary>x for b : [d, k], fresh, and the report of the solve.</summary>
    private protected abstract (Tensor X, InverseReport Report) Solve(Tensor b);

    /// <summary>The largest |r_k| / |b_k| over columns; |r_k| where b_k is zero; NaN if any is NaN.</summary>
    private protected static double Relative(Tensor r, Tensor b)
    {
        using var scope = NewDisposeScope();
        var (top, bottom) = (r.norm(0), b.norm(0));
        return top.div(where(bottom > 0, bottom, ones_like(bottom))).max().to_type(ScalarType.Float64).ToDouble();
    }
}
