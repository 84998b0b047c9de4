namespace Amari;

/// <summary>How <see cref="DampedGaussNewton"/> chooses the length s of a step along its direction.</summary>
public enum StepSearch
{
    /// <summary>The first of η, η/2, η/4, ... (31 lengths) that reduces the loss.</summary>
    Halving,

    /// <summary>The best of the same 31 lengths, as Müller and Zeinhofer 2023 have it: 31 evaluations.</summary>
    Grid,

    /// <summary>η, without an evaluation of the loss but one, for the report.</summary>
    None,
}
