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

    /// <summary>The direction u; the moments go on by one step.</summary>
    /// <param name="w">Before the step.</param>
    /// <param name="g">The gradient, scaled.</param>
    /// <param name="m">The first moment.</param>
    /// <param name="v">The second moment.</param>
    /// <param name="largest">The third moment.</param>
    L Direction<L>(L w, L g, ref L m, ref L v, ref L largest)
        where L : struct, ILanes<L>;
}

/// <summary>An algorithm with steps that can be undone to rounding.</summary>
internal interface IUndoable : IElementwise
{
    /// <summary>The direction u that a step took; the moments go back by it.</summary>
    /// <param name="g">The gradient, scaled.</param>
    /// <param name="m">The first moment after the step.</param>
    /// <param name="v">The second moment after the step.</param>
    L Undo<L>(L g, ref L m, ref L v)
        where L : struct, ILanes<L>;
}
