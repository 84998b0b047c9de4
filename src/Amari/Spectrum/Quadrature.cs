using Amari.Native;

namespace Amari.Spectrum;

/// <summary>One probe's quadrature: weights (they sum to 1) at nodes, ascending.</summary>
/// <param name="Nodes">θ.</param>
/// <param name="Weights">≥ 0.</param>
public sealed record Quadrature(IReadOnlyList<double> Nodes, IReadOnlyList<double> Weights)
{
    /// <summary>Σ weight f(node).</summary>
    public double Sum(Func<double, double> f)
    {
        ArgumentNullException.ThrowIfNull(f);
        return Nodes.Zip(Weights, (x, w) => w * f(x)).Sum();
    }
}
