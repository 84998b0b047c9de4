using Amari.Native;

namespace Amari;

/// <summary>When factors are measured and inverses computed again.</summary>
public sealed record RefreshOptions
{
    /// <summary>Steps from one measurement of the factors to the next, ≥ 1.</summary>
    public int FactorInterval
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 10;

    /// <summary>Steps from one refresh of the inverses to the next, ≥ 1.</summary>
    public int InverseInterval
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 20;

    /// <summary>γ in (0, 1): at first intervals are shorter, at step t at most max(1, γ t), for the first factors are those of few
    /// examples and of weights that soon change. Null for the given intervals from the first step on.</summary>
    public double? Warmup
    {
        get;
        init => field = Require.ShareOrNull(value);
    } = 0.5;

    /// <summary>s in (0, 1): share of the step time that curvature (factors and inverses, not the products of each step) may take; both
    /// intervals, and how many examples factors are taken from, are then chosen by the clock: see <see cref="CurvatureChoice"/>. Null
    /// for the fixed intervals, which hold until there is something to choose by and, unlike the clock, make runs repeatable. The time
    /// from step to step counts, whatever is done in it; on an accelerator that works asynchronously it is the host's time.</summary>
    public double? TimeFraction
    {
        get;
        init => field = Require.ShareOrNull(value);
    }
}
