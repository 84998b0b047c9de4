namespace Amari.Benchmarks;

/// <summary>Repeated measurements of one quantity.</summary>
internal static class Measurements
{
    /// <summary>The middle one; of an even number the upper of the two.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
