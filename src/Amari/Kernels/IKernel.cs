namespace Amari.Kernels;

/// <summary>One optimizer's arithmetic on some coordinates: constants, and a body for every width.</summary>
internal interface IKernel
{
    /// <summary>How many state tensors: 0, 1 or 2.</summary>
    static abstract int States { get; }

    /// <summary>Updates the parameter and its state.</summary>
    /// <param name="w">The parameter.</param>
    /// <param name="g">The gradient as it is, not yet scaled.</param>
    /// <param name="s">The first state; zero, and lost, when there is none.</param>
    /// <param name="t">The second state; likewise.</param>
    void Apply<L>(ref L w, L g, ref L s, ref L t) where L : struct, ILanes<L>;
}
