using System.Globalization;

namespace Amari.Reporting;

/// <summary>Formats numbers for readers, in the invariant culture.</summary>
internal static class Number
{
    /// <summary>A given number of significant digits, without an exponent from 0.001 to 999999 and without trailing zeros: 0.0533, 1316,
    /// 2.69e-5.</summary>
    public static string Short(double value, int digits = 3)
    {
        double size = Math.Abs(value);
        if (!double.IsFinite(value) || size is not (0 or (>= 1e-3 and < 1e6)))
            return value.ToString("0." + new string('#', digits - 1) + "e0", CultureInfo.InvariantCulture);
        int decimals = size == 0 ? 0 : Math.Max(0, digits - 1 - (int)Math.Floor(Math.Log10(size)));
        return value.ToString("0." + new string('#', decimals), CultureInfo.InvariantCulture);
    }

    /// <summary>A size in memory: 540 B, 69 kB, 23 MB.</summary>
    public static string Bytes(long bytes) =>
        bytes < 10_000 ? FormattableString.Invariant($"{bytes} B")
        : bytes < 10_000_000 ? FormattableString.Invariant($"{bytes / 1e3:F0} kB")
        : FormattableString.Invariant($"{bytes / 1e6:F0} MB");
}
