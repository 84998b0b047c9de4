using Amari.Curvature;

namespace Amari.Verification;

/// <summary>What came of a check.</summary>
public enum CheckOutcome
{
    /// <summary>It agrees with its oracle.</summary>
    Passed,

    /// <summary>It does not.</summary>
    Failed,

    /// <summary>The oracle could not tell, as where the loss is not differentiable; the note says why.</summary>
    Inconclusive,

    /// <summary>What was to be checked cannot be computed for this model, as where an operation has no second derivative; the note says
    /// why.</summary>
    Unavailable,
}
