namespace Amari;

/// <summary>Why a least-squares method ended.</summary>
public enum LeastSquaresStatus
{
    /// <summary>The gradient is small: the residuals are orthogonal to the columns of J up to the tolerance.</summary>
    Gradient,

    /// <summary>The step is small, and no damping made it so.</summary>
    Step,

    /// <summary>The step reduced the loss by little, as was predicted.</summary>
    Reduction,

    /// <summary>No step reduced the loss, however large the damping or short the step: rounding hides the reduction, or J is wrong in a
    /// way that finite differences do not show.</summary>
    Stuck,

    /// <summary>J is not the derivative of the residuals: finite differences of them contradict it.</summary>
    WrongJacobian,

    /// <summary>The residuals or their Jacobian are not finite at the present parameters, or the residuals at every trial.</summary>
    NotFinite,

    /// <summary>The limit on the number of steps was reached.</summary>
    StepLimit,
}
