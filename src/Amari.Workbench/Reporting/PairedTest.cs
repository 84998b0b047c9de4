using MathNet.Numerics.Distributions;

namespace Amari.Reporting;

/// <summary>Student's paired t test, two-sided: whether the mean of the differences of n pairs is zero. Both sides of a pair are measured
/// with a resolution δ, and rounded by up to δ/2.</summary>
/// <remarks><code>
/// m = Σ dᵢ / n,  s² = max(Σ (dᵢ - m)² / (n - 1), δ²/6)     δ²/6: two rounding errors, uniform in ±δ/2
/// t = m √n / s                                             n - 1 degrees of freedom
/// m ± t₀.₉₇₅ s / √n                                        the 95 % interval
/// </code>A mean below δ / 2n is a rounding error of the arithmetic: it counts as zero.</remarks>
/// <param name="Mean">m; NaN without pairs.</param>
/// <param name="Deviation">s; NaN with fewer than two pairs.</param>
/// <param name="Count">n.</param>
internal readonly record struct PairedTest(double Mean, double Deviation, int Count)
{
    /// <summary>The level at which a difference is beyond chance.</summary>
    public const double Level = 0.05;

    private const double Rounding = 1e-9; // of float64 arithmetic, with room

    /// <summary>Whether the differences vary less than the resolution alone explains, so that <see cref="Deviation"/> is its.</summary>
    public bool IsCoarse { get; private init; }

    /// <summary>The test of differences.</summary>
    /// <param name="differences">dᵢ.</param>
    /// <param name="resolution">δ; null if unknown.</param>
    public static PairedTest Of(IReadOnlyCollection<double> differences, double? resolution = null)
    {
        int n = differences.Count;
        if (n == 0)
            return new(double.NaN, double.NaN, 0);
        double mean = differences.Average(),
            noise = Rounding * differences.Max(Math.Abs);
        if (Math.Abs(mean) <= Math.Max(noise, (resolution ?? 0) / (2 * n)))
            mean = 0;
        if (n == 1)
            return new(mean, double.NaN, 1);
        double deviation = Math.Sqrt(differences.Sum(d => (d - mean) * (d - mean)) / (n - 1)),
            least = (resolution ?? 0) / Math.Sqrt(6);
        if (deviation <= noise)
            deviation = 0;
        return new(mean, Math.Max(deviation, least), n) { IsCoarse = deviation < least };
    }

    /// <summary>Whether there are at least two pairs, whose differences vary or are known to a resolution. Equal pairs need no
    /// test.</summary>
    public bool IsPossible => Count >= 2 && (Deviation > 0 || Mean == 0);

    /// <summary>The probability of a mean at least as far from zero if there is no difference; 1 if no test is possible.</summary>
    public double P => !IsPossible || Mean == 0 ? 1 : 2 * StudentT.CDF(0, 1, Count - 1, -Math.Abs(Mean) * Math.Sqrt(Count) / Deviation);

    /// <summary>The 95 % interval of the mean; infinite if no test is possible.</summary>
    public (double Low, double High) Interval
    {
        get
        {
            double half = IsPossible
                ? StudentT.InvCDF(0, 1, Count - 1, 1 - Level / 2) * Deviation / Math.Sqrt(Count)
                : double.PositiveInfinity;
            return (Mean - half, Mean + half);
        }
    }
}
