using MathNet.Numerics.Distributions;

namespace Amari.Reporting;

/// <summary>Student's paired t test, two-sided: whether the mean of the differences of n pairs is zero.</summary>
/// <remarks><code>
/// m = Σ dᵢ / n,  s² = Σ (dᵢ - m)² / (n - 1)
/// t = m √n / s                              n - 1 degrees of freedom
/// m ± t₀.₉₇₅ s / √n                         the 95 % interval
/// </code>If all differences are equal, s is 0: they are beyond chance unless they are zero.</remarks>
/// <param name="Mean">m; NaN without pairs.</param>
/// <param name="Deviation">s; NaN with fewer than two pairs.</param>
/// <param name="Count">n.</param>
internal readonly record struct PairedTest(double Mean, double Deviation, int Count)
{
    /// <summary>The level at which a difference is beyond chance.</summary>
    public const double Level = 0.05;

    /// <summary>The test of differences.</summary>
    public static PairedTest Of(IReadOnlyCollection<double> differences)
    {
        int n = differences.Count;
        double mean = n == 0 ? double.NaN : differences.Average();
        return new(mean, n < 2 ? double.NaN : Math.Sqrt(differences.Sum(d => (d - mean) * (d - mean)) / (n - 1)), n);
    }

    /// <summary>Whether there are at least two pairs.</summary>
    public bool IsPossible => Count >= 2;

    /// <summary>The probability of a mean at least as far from zero if there is no difference; 1 if no test is possible.</summary>
    public double P =>
        !IsPossible || Mean == 0 ? 1
        : Deviation == 0 ? 0
        : 2 * StudentT.CDF(0, 1, Count - 1, -Math.Abs(Mean) * Math.Sqrt(Count) / Deviation);

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
