using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>How far an inverse product got.</summary>
public enum InverseStatus
{
    /// <summary>To the tolerance, or by a factorisation of the operator itself.</summary>
    Solved,

    /// <summary>By the inverse of a near operator (factored damping, or a diagonal that had to be raised): the residual says how
    /// near.</summary>
    Approximate,

    /// <summary>The quadratic model hardly improved any more.</summary>
    Stalled,

    /// <summary>The iteration limit came first: raise it, damp more, or precondition.</summary>
    IterationLimit,

    /// <summary>The operator is not positive definite: damp more.</summary>
    NegativeCurvature,

    /// <summary>The residual grew: the series does not converge; lower its scale, or damp more.</summary>
    Diverged,

    /// <summary>A number was infinite or NaN.</summary>
    NotFinite,

    /// <summary>The operator has no Cholesky factor, even with its diagonal raised; the result is NaN. Damp more.</summary>
    Failed,
}

/// <summary>What an inverse product came to.</summary>
/// <param name="Status">How far it got; of several columns, the worst.</param>
/// <param name="Iterations">Products with the operator; 0 for a factorisation.</param>
/// <param name="RelativeResidual">|b - C x| / |b|; of several columns, the largest. Null where it was not asked for.</param>
public sealed record InverseReport(InverseStatus Status, int Iterations, double? RelativeResidual);

/// <summary>b → x with C x = b, as an operator of its own; how well it solved can be read after each product.</summary>
public abstract class InverseOperator : LinearOperator
{
    private protected InverseOperator(LinearOperator inverted)
    {
        ArgumentNullException.ThrowIfNull(inverted);
        Inverted = inverted;
    }

    /// <summary>C. Not owned.</summary>
    public LinearOperator Inverted { get; }

    /// <summary>Of the last product; null before the first.</summary>
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

    /// <summary>x for b : [d, k], fresh, and how it came about.</summary>
    private protected abstract (Tensor X, InverseReport Report) Solve(Tensor b);

    /// <summary>The largest |r_k| / |b_k| over columns; where b_k is zero, |r_k|. NaN if any is.</summary>
    private protected static double Relative(Tensor r, Tensor b)
    {
        using var scope = NewDisposeScope();
        var (top, bottom) = (r.norm(0), b.norm(0));
        return top.div(where(bottom > 0, bottom, ones_like(bottom))).max().to_type(ScalarType.Float64).ToDouble();
    }
}
