using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>When the truncated conjugate gradient stops.</summary>
public sealed record SteihaugOptions
{
    /// <summary>≥ 1.</summary>
    public int MaxIterations
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 250;

    /// <summary>|g + H p| ≤ tolerance |g|; > 0.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;
}
