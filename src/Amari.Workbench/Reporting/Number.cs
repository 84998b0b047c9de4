using System.Globalization;

namespace Amari.Reporting;

/// <summary>Formats numbers for readers, in the invariant culture.</summary>
internal static class Number
{
    /// <summary>A given number of significant digits, without an exponent from 0.001 to 999999 and without trailing zeros: 0.0533, 1316,
    /// 2.69e-5. Zero has no sign.</summary>
    public static string Short(double value, int digits = 3)
    {
        double size = Math.Abs(value);
        if (!double.IsFinite(value) || size is not (0 or (>= 1e-3 and < 1e6)))
            return value.ToString("0." + new string('#', digits - 1) + "e0", CultureInfo.InvariantCulture);
        if (size == 0)
            return "0";
        int decimals = Math.Max(0, digits - 1 - (int)Math.Floor(Math.Log10(size)));
        return value.ToString("0." + new string('#', decimals), CultureInfo.InvariantCulture);
    }

    /// <summary>A time to wait, rounded: 8 s, 45 s, 1 min 20 s, 12 min, 2 h 5 min.</summary>
    public static string Wait(double seconds)
    {
        double step = seconds switch
        {
            < 20 => 1,
            < 60 => 5,
            < 600 => 10,
            < 3600 => 60,
            _ => 300,
        };
        var (minutes, s) = Math.DivRem((long)(step * Math.Round(seconds / step)), 60);
        var (hours, min) = Math.DivRem(minutes, 60);
        (long Count, string Unit)[] parts = [(hours, "h"), (min, "min"), (s, "s")];
        string text = string.Join(' ', parts.Where(p => p.Count > 0).Select(p => $"{p.Count} {p.Unit}"));
        return text.Length > 0 ? text : "0 s";
    }

    /// <summary>A size in memory: 540 B, 69 kB, 23 MB.</summary>
    public static string Bytes(long bytes) =>
        bytes < 10_000 ? FormattableString.Invariant($"{bytes} B")
        : bytes < 10_000_000 ? FormattableString.Invariant($"{bytes / 1e3:F0} kB")
        : FormattableString.Invariant($"{bytes / 1e6:F0} MB");
}
