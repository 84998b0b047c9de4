using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>The Neumann series of an inverse.</summary>
public sealed record NeumannOptions
{
    /// <summary>α > 0: the series converges for α below 2 / λmax, and fastest near 2 / (λmin + λmax).</summary>
    public double Scale
    {
        get;
        init => field = Require.Positive(value);
    } = 1;

    /// <summary>Products with C, ≥ 1.</summary>
    public int MaxIterations
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 100;

    /// <summary>|b - C x| ≤ tolerance |b|; > 0.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;
}
