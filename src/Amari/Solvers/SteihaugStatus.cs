using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Why truncated conjugate gradient stopped.</summary>
public enum SteihaugStatus
{
    /// <summary>Converged inside the region: the residual is below the tolerance.</summary>
    Interior,

    /// <summary>The path left the region: the step ends on its boundary.</summary>
    Boundary,

    /// <summary>A direction p with p'Hp ≤ 0 was found and followed to the boundary.</summary>
    NegativeCurvature,

    /// <summary>The iteration limit was reached inside the region.</summary>
    IterationLimit,

    /// <summary>A number was infinite or NaN. The step is the last finite one.</summary>
    NotFinite,
}
