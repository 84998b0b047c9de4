using System.Globalization;

namespace Amari.Reporting;

/// <summary>A mark of a logarithmic axis.</summary>
/// <param name="At">log₁₀ of the value.</param>
/// <param name="Label">Null for a small mark.</param>
internal readonly record struct Mark(double At, string? Label);

/// <summary>The marks of a logarithmic axis.</summary>
internal static class Decades
{
    private const int MostLabels = 8;

    /// <summary>Powers of ten (every second or third where there are many), with 2 and 5 between where there are few.</summary>
    /// <param name="low">The axis's foot, > 0.</param>
    /// <param name="high">Its top.</param>
    /// <returns>Ascending.</returns>
    public static IEnumerable<Mark> Marks(double low, double high)
    {
        int first = (int)Math.Floor(Math.Log10(low)),
            last = (int)Math.Ceiling(Math.Log10(high));
        double decades = Math.Log10(high / low);
        int stride = (int)Math.Ceiling(decades / MostLabels);
        for (int power = first; power <= last; power++)
        for (int digit = 1; digit <= (stride == 1 ? 9 : 1); digit++)
        {
            double value = double.Parse(FormattableString.Invariant($"{digit}e{power}"), CultureInfo.InvariantCulture);
            if (value < low || value > high)
                continue;
            bool labelled = digit == 1 ? power % stride == 0 : digit is 2 or 5 && decades < 2;
            yield return new(Math.Log10(value), labelled ? Number.Short(value) : null);
        }
    }
}
