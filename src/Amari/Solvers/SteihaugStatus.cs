using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Why the truncated conjugate gradient stopped.</summary>
public enum SteihaugStatus
{
    /// <summary>Inside the region, with the residual below the tolerance.</summary>
    Interior,

    /// <summary>The path left the region: the step ends on its boundary.</summary>
    Boundary,

    /// <summary>A direction p with p'Hp ≤ 0 was met and followed to the boundary.</summary>
    NegativeCurvature,

    /// <summary>The iteration limit came first, inside the region.</summary>
    IterationLimit,

    /// <summary>A number was infinite or NaN; the step is the last one before it.</summary>
    NotFinite,
}
