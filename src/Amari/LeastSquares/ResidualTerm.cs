using Amari.Jets;
using Amari.Native;

namespace Amari.LeastSquares;

/// <summary>One kind of residuals of a differential equation: the equation itself, a boundary or an initial condition, data.</summary>
/// <param name="Name">For messages, e.g. <c>"interior"</c>.</param>
/// <param name="Spec">The derivatives that the residual needs.</param>
/// <param name="Residual">The jet of u and the points [n, d] → r : [n] or [n, 1], differentiable in the jet. It owns neither; what it
/// creates is disposed by the caller.</param>
public sealed record ResidualTerm(string Name, JetSpec Spec, Func<Jet, Tensor, Tensor> Residual)
{
    /// <summary>The factor of r² in the loss; finite and positive.</summary>
    public double Weight
    {
        get;
        init => field = Require.Positive(value);
    } = 1;
}
