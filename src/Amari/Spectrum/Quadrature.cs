using Amari.Native;

namespace Amari.Spectrum;

/// <summary>The quadrature of one probe: weights, which sum to 1, at ascending nodes.</summary>
/// <param name="Nodes">θ.</param>
/// <param name="Weights">≥ 0.</param>
public sealed record Quadrature(IReadOnlyList<double> Nodes, IReadOnlyList<double> Weights)
{
    /// <summary>An eigenvalue lies within this of the first node.</summary>
    internal double FirstResidual { get; init; }

    /// <summary>Σ weight f(node).</summary>
    public double Sum(Func<double, double> f)
    {
        ArgumentNullException.ThrowIfNull(f);
        return Nodes.Zip(Weights, (x, w) => w * f(x)).Sum();
    }
}
