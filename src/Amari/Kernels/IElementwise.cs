namespace Amari.Kernels;

/// <summary>An elementwise algorithm: what each number does by itself in a step w ← keep w + rate u, written once for all
/// registers.</summary>
/// <remarks>The drivers are <see cref="StepKernel{TRule, TGuard}"/>, <see cref="CautiousKernel{TRule}"/> and
/// <see cref="UndoKernel{TRule}"/>; <see cref="FusedStep"/> chooses among them.</remarks>
internal interface IElementwise
{
    /// <summary>How many moments there are, 0 to 3.</summary>
    static abstract int Moments { get; }

    /// <summary>-η, with the corrections that all numbers share.</summary>
    float Rate { get; }

    /// <summary>1 - η λ of a decoupled decay; 1 without one.</summary>
    float Keep { get; }

    /// <summary>What all entries share; the numbers that the rule does not have are 0.</summary>
    Coefficients Coefficients { get; }

    /// <summary>The direction u from w before the step and the scaled gradient g; the moments m, v and the largest go on by one step. The
    /// last parameters are the <see cref="Coefficients"/>.</summary>
    L Direction<L>(L w, L g, ref L m, ref L v, ref L largest, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
        where L : struct, ILanes<L>;
}

/// <summary>An algorithm with steps that can be undone to rounding.</summary>
internal interface IUndoable : IElementwise
{
    /// <summary>The direction u that a step took, from the scaled gradient g; the moments m and v go back by it. The last parameters are
    /// the <see cref="IElementwise.Coefficients"/>.</summary>
    L Undo<L>(L g, ref L m, ref L v, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
        where L : struct, ILanes<L>;
}
