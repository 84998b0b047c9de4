using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Stopping criteria of truncated conjugate gradient.</summary>
public sealed record SteihaugOptions
{
    /// <summary>Maximum number of iterations, ≥ 1.</summary>
    public int MaxIterations
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 250;

    /// <summary>Relative tolerance > 0: stop once |g + H p| ≤ tolerance · |g|.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;
}
