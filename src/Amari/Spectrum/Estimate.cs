namespace Amari.Spectrum;

/// <summary>A random estimate with its standard error.</summary>
/// <param name="Value">The estimate.</param>
/// <param name="StandardError">Its standard error estimated from the samples; NaN for a single sample.</param>
public readonly record struct Estimate(double Value, double StandardError)
{
    /// <summary>A value without sampling error; NaN is of unknown error.</summary>
    internal static Estimate Exact(double value) => new(value, double.IsFinite(value) ? 0 : double.NaN);

    /// <summary>The mean of independent samples, with the standard error of the mean.</summary>
    internal static Estimate OfMean(IReadOnlyCollection<double> samples)
    {
        int n = samples.Count;
        double mean = samples.Average();
        return new(mean, n < 2 ? double.NaN : Math.Sqrt(samples.Sum(s => (s - mean) * (s - mean)) / (n - 1) / n));
    }

    /// <summary>A smooth function of n independent samples: its value on all samples, with the jackknife standard error (leave one
    /// out).</summary>
    /// <param name="n">≥ 1.</param>
    /// <param name="without">The function without sample i, or of all samples for null.</param>
    internal static Estimate Jackknife(int n, Func<int?, double> without)
    {
        double all = without(null);
        if (n < 2)
            return new(all, double.NaN);
        double[] left = [.. Enumerable.Range(0, n).Select(i => without(i))];
        double mean = left.Average();
        return new(all, Math.Sqrt((n - 1.0) / n * left.Sum(v => (v - mean) * (v - mean))));
    }

    /// <summary>s times the estimate.</summary>
    public static Estimate operator *(double scale, Estimate estimate) =>
        new(scale * estimate.Value, Math.Abs(scale) * estimate.StandardError);

    /// <inheritdoc/>
    public override string ToString() => FormattableString.Invariant($"{Value:G6} ± {StandardError:G2}");
}
