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

    /// <summary>The one at a place in [0, 1] of the sorted values, the nearest.</summary>
    public static double Quantile(IEnumerable<double> values, double place)
    {
        double[] sorted = [.. values.Order()];
        return sorted[(int)Math.Round(place * (sorted.Length - 1))];
    }
}
