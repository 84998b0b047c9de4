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
