using Amari.Native;

namespace Amari.Training;

/// <summary>The spread of several times.</summary>
/// <param name="Min">The smallest.</param>
/// <param name="Lower">The lower quartile: a quarter is at most this.</param>
/// <param name="Median">The median.</param>
/// <param name="Upper">The upper quartile.</param>
/// <param name="Max">The largest.</param>
public readonly record struct Quartiles(double Min, double Lower, double Median, double Upper, double Max)
{
    /// <summary>The quartiles of values, interpolated linearly between neighbours.</summary>
    /// <exception cref="ArgumentException">There are no values.</exception>
    public static Quartiles Of(IEnumerable<double> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        double[] sorted = [.. values.Order()];
        Require.AtLeast(1, sorted.Length, "number of values");
        return new(sorted[0], At(0.25), At(0.5), At(0.75), sorted[^1]);

        double At(double share)
        {
            double rank = share * (sorted.Length - 1);
            int below = (int)rank;
            return sorted[below] + (rank - below) * (sorted[Math.Min(below + 1, sorted.Length - 1)] - sorted[below]);
        }
    }

    /// <summary>A function of each of the five values; it must be increasing.</summary>
    internal static Quartiles Of(Func<Func<Quartiles, double>, double> each) =>
        new(each(q => q.Min), each(q => q.Lower), each(q => q.Median), each(q => q.Upper), each(q => q.Max));
}
