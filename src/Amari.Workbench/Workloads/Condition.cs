using Amari.Jets;

namespace Amari.Workloads;

/// <summary>An equation that the solution u satisfies in a region: residual = 0.</summary>
/// <param name="Name">The name in messages, such as <c>equation</c> or <c>boundary</c>.</param>
/// <param name="Where">Where it holds.</param>
/// <param name="Derivatives">The derivatives that <paramref name="Residual"/> needs.</param>
/// <param name="Residual">The jet of u and the points [n, axes] → r : [n, 1], in torch operations. It owns neither.</param>
public sealed record Condition(string Name, Region Where, JetSpec Derivatives, Func<Jet, Tensor, Tensor> Residual)
{
    /// <summary>Moves evenly spread points [n, axes] of the region to where training needs them, such as closer to a front; null to keep
    /// them. The caller owns the result.</summary>
    public Func<Tensor, Tensor>? Placement { get; init; }
}
