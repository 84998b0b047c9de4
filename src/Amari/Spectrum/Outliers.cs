namespace Amari.Spectrum;

/// <summary>The number of the largest eigenvalues that stand apart from the bulk: a scree test (Cattell 1966) by extrapolation, similar to
/// the optimal coordinates of Raîche et al. (2013), on logarithmic scales.</summary>
/// <remarks><code>
/// λ₁ ≥ λ₂ ≥ .. ≥ λ_K      the largest K eigenvalues
/// λᵢ ≈ c i^(-s)            fitted to the lower half, i > K/2: the tail of the bulk, by least squares of the logarithms
/// count = the last n ≤ K/2 with λₙ more than 10 % above the tail extrapolated to its rank, before two in a row are not
/// </code>Take K at least three times the expected number.</remarks>
/// <param name="Count">n.</param>
/// <param name="IsConclusive">Whether K was large enough to see the bulk: at least 24 positive eigenvalues, fewer than half of them
/// outliers. Otherwise there may be more outliers.</param>
/// <param name="Scale">c; NaN without a fit.</param>
/// <param name="Exponent">s; NaN without a fit.</param>
public sealed record Outliers(int Count, bool IsConclusive, double Scale, double Exponent)
{
    private const double OutlierRatio = 1.1;
    private const int MinFitted = 4,
        MinConclusive = 24;

    /// <summary>The rule in a sentence.</summary>
    public const string Rule =
        "the eigenvalues down to the last one that is more than 10 % above the tail of the bulk, before two in a row are not; the "
        + "tail is a power law of rank, fitted to the lower half of the computed eigenvalues";

    /// <summary>The tail of the bulk at a rank i ≥ 1.</summary>
    public double Tail(int rank) => Scale * Math.Pow(rank, -Exponent);

    /// <param name="largest">λ₁ .. λ_K, descending. Entries after the last positive one are ignored.</param>
    public static Outliers Of(IReadOnlyList<double> largest)
    {
        ArgumentNullException.ThrowIfNull(largest);
        double[] logs = [.. largest.TakeWhile(x => x > 0).Select(x => Math.Log(x))];
        if (logs.Length < MinFitted)
            return new(0, false, double.NaN, double.NaN);
        int half = logs.Length / 2;
        var tail = Enumerable.Range(half, logs.Length - half).Select(i => (X: Math.Log(i + 1), Y: logs[i])).ToList();
        double x = tail.Average(p => p.X),
            y = tail.Average(p => p.Y);
        double slope = tail.Sum(p => (p.X - x) * (p.Y - y)) / tail.Sum(p => (p.X - x) * (p.X - x));
        int count = 0;
        for (int i = 1; i <= half && (count == 0 || i <= count + 2); i++)
            if (logs[i - 1] > Math.Log(OutlierRatio) + y + slope * (Math.Log(i) - x))
                count = i;
        return new(count, logs.Length >= MinConclusive && count < half, Math.Exp(y - slope * x), -slope);
    }
}
