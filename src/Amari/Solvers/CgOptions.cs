using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>When conjugate gradient stops.</summary>
public sealed record CgOptions
{
    /// <summary>≥ 1.</summary>
    public int MaxIterations
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 250;

    /// <summary>|b - C x| ≤ tolerance |b|; > 0.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;

    /// <summary>ε > 0: stop once the quadratic model φ improved by less than k ε over the last k = max(10, i/10) iterations, relative to φ
    /// (Martens 2010, §4.4); null for no such test.</summary>
    public double? ProgressTolerance
    {
        get;
        init => field = Require.PositiveOrNull(value);
    }
}
