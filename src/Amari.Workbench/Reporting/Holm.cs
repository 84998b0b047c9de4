namespace Amari.Reporting;

/// <summary>Holm's correction for several tests (Holm 1979, "A simple sequentially rejective multiple test procedure"): the probability of
/// even one false claim among them stays below the level.</summary>
/// <remarks><code>
/// p₁ ≤ ... ≤ pₘ:   p̃ⱼ = max over i ≤ j of min(1, (m - i + 1) pᵢ)
/// </code></remarks>
internal static class Holm
{
    /// <summary>The adjusted p, in the order of the given ones: each is compared with the level itself.</summary>
    public static double[] Adjust(IReadOnlyList<double> p)
    {
        var adjusted = new double[p.Count];
        double highest = 0;
        foreach (var (rank, index) in Enumerable.Range(0, p.Count).OrderBy(i => p[i]).Index())
            adjusted[index] = highest = Math.Max(highest, Math.Min(1, (p.Count - rank) * p[index]));
        return adjusted;
    }
}
