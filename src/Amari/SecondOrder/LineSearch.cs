namespace Amari;

/// <summary>How far <see cref="Lbfgs"/> goes along a direction.</summary>
public enum LineSearch
{
    /// <summary>To the first point found where the loss has fallen and its slope has flattened as the strong Wolfe conditions
    /// say.</summary>
    StrongWolfe,

    /// <summary>By the learning rate; the first direction, which is the gradient, by η min(1, 1 / |g|₁).</summary>
    None,
}
