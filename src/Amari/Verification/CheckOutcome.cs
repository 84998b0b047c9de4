using Amari.Curvature;

namespace Amari.Verification;

/// <summary>The outcome of a check.</summary>
public enum CheckOutcome
{
    /// <summary>It agrees with its oracle.</summary>
    Passed,

    /// <summary>It does not agree.</summary>
    Failed,

    /// <summary>The oracle cannot decide, for example because the loss is not differentiable. The note gives the reason.</summary>
    Inconclusive,

    /// <summary>The quantity cannot be computed for this model, for example because an operation has no second derivative. The note gives
    /// the reason.</summary>
    Unavailable,
}
