using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Why conjugate gradient stopped.</summary>
public enum CgStatus
{
    /// <summary>The residual is below the tolerance.</summary>
    Converged,

    /// <summary>The quadratic model stopped improving (<see cref="CgOptions.ProgressTolerance"/>), or residuals are within rounding, but
    /// not within the tolerance.</summary>
    Stalled,

    /// <summary>The iteration limit was reached: raise it, increase the damping, or use a preconditioner.</summary>
    IterationLimit,

    /// <summary>A direction p has p'Cp ≤ 0, so the matrix is not positive definite: increase the damping, or use a trust region.</summary>
    NegativeCurvature,

    /// <summary>A number was infinite or NaN.</summary>
    NotFinite,
}
