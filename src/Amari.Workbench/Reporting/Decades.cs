using System.Globalization;

namespace Amari.Reporting;

/// <summary>A tick of a logarithmic axis.</summary>
/// <param name="At">log₁₀ of the value.</param>
/// <param name="Label">Null for a minor tick.</param>
internal readonly record struct Mark(double At, string? Label);

/// <summary>The ticks of a logarithmic axis.</summary>
internal static class Decades
{
    private const int MaxLabels = 8;

    /// <summary>Powers of ten (every second or third if there are many), with 2 and 5 in between if there are few.</summary>
    /// <param name="low">The lower end of the axis, > 0.</param>
    /// <param name="high">The upper end.</param>
    /// <param name="few">Fewer decades than this have labels at 2 and 5.</param>
    /// <returns>Ascending.</returns>
    public static IEnumerable<Mark> Marks(double low, double high, double few = 2.5)
    {
        int first = (int)Math.Floor(Math.Log10(low)),
            last = (int)Math.Ceiling(Math.Log10(high));
        double decades = Math.Log10(high / low);
        int stride = (int)Math.Ceiling(decades / MaxLabels);
        for (int power = first; power <= last; power++)
        for (int digit = 1; digit <= (stride == 1 ? 9 : 1); digit++)
        {
            double value = double.Parse(FormattableString.Invariant($"{digit}e{power}"), CultureInfo.InvariantCulture);
            if (value < low || value > high)
                continue;
            bool labelled = digit == 1 ? power % stride == 0 : digit is 2 or 5 && decades < few;
            yield return new(Math.Log10(value), labelled ? Number.Short(value) : null);
        }
    }
}
