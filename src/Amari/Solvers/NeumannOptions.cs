using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Scale and stopping criteria of a Neumann series.</summary>
public sealed record NeumannOptions
{
    /// <summary>α > 0: the series converges for α below 2 / λmax, and fastest near 2 / (λmin + λmax).</summary>
    public double Scale
    {
        get;
        init => field = Require.Positive(value);
    } = 1;

    /// <summary>Maximum number of products with C, ≥ 1.</summary>
    public int MaxIterations
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 100;

    /// <summary>Relative tolerance > 0: stop once |b - C x| ≤ tolerance · |b|.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;
}
