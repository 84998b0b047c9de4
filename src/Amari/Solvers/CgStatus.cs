using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Why conjugate gradient stopped.</summary>
public enum CgStatus
{
    /// <summary>The residual is below the tolerance.</summary>
    Converged,

    /// <summary>The quadratic model hardly improved any more (<see cref="CgOptions.ProgressTolerance"/>).</summary>
    Stalled,

    /// <summary>The iteration limit came first: raise it, damp more, or precondition.</summary>
    IterationLimit,

    /// <summary>A direction p with p'Cp ≤ 0 was met: the matrix is not positive definite; damp more, or use a trust region.</summary>
    NegativeCurvature,

    /// <summary>A number was infinite or NaN.</summary>
    NotFinite,
}
