using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Stopping criteria of conjugate gradient.</summary>
public sealed record CgOptions
{
    /// <summary>Maximum number of iterations, ≥ 1.</summary>
    public int MaxIterations
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 250;

    /// <summary>Relative tolerance > 0: stop once |b - C x| ≤ tolerance · |b|. The recurrence computes it; that of
    /// the true one stays above about ε κ for the condition number κ of C.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;

    /// <summary>ε > 0: stop once the quadratic model φ improved by less than k ε over the last k = max(10, i/10) iterations, relative to φ
    /// (Martens 2010, §4.4). Null disables this test.</summary>
    public double? ProgressTolerance
    {
        get;
        init => field = Require.PositiveOrNull(value);
    }
}
