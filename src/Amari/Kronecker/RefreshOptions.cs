using Amari.Native;

namespace Amari;

/// <summary>How often factors are measured and inverses are computed.</summary>
public sealed record RefreshOptions
{
    private const double MostGrowth = 0.99;

    /// <summary>Steps between two measurements of the factors, ≥ 1.</summary>
    public int FactorInterval
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 20;

    /// <summary>Steps between two computations of the inverses, ≥ 1.</summary>
    public int InverseInterval
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 20;

    /// <summary>γ in (0, 1): at step t, intervals are at most max(1, γ t), because the first factors come from few examples and from
    /// weights that soon change. With steps of the quadratic model, which corrects their length, it is max(1, min(2 γ, 0.99) t). Null uses
    /// the given intervals from the first step.</summary>
    public double? Warmup
    {
        get;
        init => field = Require.ShareOrNull(value);
    } = 0.5;

    /// <summary>By how much intervals grow.</summary>
    /// <param name="isModelled">Whether the length of steps is that of a quadratic model.</param>
    internal double? Growth(bool isModelled) => isModelled && Warmup is { } g ? Math.Min(2 * g, MostGrowth) : Warmup;

    /// <summary>s in (0, 1): the share of the step time for factors and inverses, without the products of each step. Both intervals, and
    /// the number of examples for factors, are then chosen by measured times: see <see cref="CurvatureChoice"/>. Until there are enough
    /// measurements, the fixed intervals are used. Null always uses the fixed intervals, which make runs repeatable. The time from one step
    /// to the next counts, with everything that happens in it. On an asynchronous accelerator it is the host's time.</summary>
    public double? TimeFraction
    {
        get;
        init => field = Require.ShareOrNull(value);
    }
}
