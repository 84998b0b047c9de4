using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>The outcome of a product with an inverse.</summary>
public enum InverseStatus
{
    /// <summary>Solved to the tolerance, or by a factorisation of the operator itself.</summary>
    Solved,

    /// <summary>Solved with the inverse of a nearby operator (factored damping, or a raised diagonal). The residual measures the
    /// difference.</summary>
    Approximate,

    /// <summary>The quadratic model stopped improving.</summary>
    Stalled,

    /// <summary>The iteration limit was reached: raise it, increase the damping, or use a preconditioner.</summary>
    IterationLimit,

    /// <summary>The operator is not positive definite: increase the damping.</summary>
    NegativeCurvature,

    /// <summary>The residual grew: the series does not converge. Lower its scale or increase the damping.</summary>
    Diverged,

    /// <summary>A number was infinite or NaN.</summary>
    NotFinite,

    /// <summary>The operator has no Cholesky factor, even with a raised diagonal, and the result is NaN. Increase the damping.</summary>
    Failed,
}
