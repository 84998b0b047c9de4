namespace Amari;

/// <summary>How <see cref="Lbfgs"/> chooses the step size along a direction.</summary>
public enum LineSearch
{
    /// <summary>The first point found that satisfies the strong Wolfe conditions: the loss has fallen, and its slope has become
    /// flatter.</summary>
    StrongWolfe,

    /// <summary>The learning rate. For the first direction, which is the gradient, η min(1, 1 / |g|₁).</summary>
    None,
}
