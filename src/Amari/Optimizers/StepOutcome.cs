using Amari.Solvers;

namespace Amari;

/// <summary>How a step of a second-order method ended.</summary>
public enum StepOutcome
{
    /// <summary>The parameters moved.</summary>
    Accepted,

    /// <summary>The trial step was not good enough; the parameters are as before, bit for bit.</summary>
    Rejected,

    /// <summary>The loss, its gradient or its curvature was not finite; nothing was tried, and the step is not counted.</summary>
    Skipped,
}
