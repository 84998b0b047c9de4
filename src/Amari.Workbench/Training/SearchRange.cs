using System.Globalization;

namespace Amari.Training;

/// <summary>A number on a logarithmic scale.</summary>
/// <param name="Option">The name of the option, as in settings.</param>
/// <param name="Low">Minimum.</param>
/// <param name="High">Maximum.</param>
/// <param name="FromOne">Whether the scale is logarithmic in 1 - value, for momenta near 1.</param>
public sealed record SearchRange(string Option, double Low, double High, bool FromOne = false) : SearchDimension(Option)
{
    /// <summary>Where a value is on the scale: 0 at <see cref="Low"/>, 1 at <see cref="High"/>; NaN if it is no number.</summary>
    internal double PositionOf(string value)
    {
        if (!double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number))
            return double.NaN;
        return (Log(number) - Log(Low)) / (Log(High) - Log(Low));

        double Log(double at) => Math.Log(FromOne ? 1 - at : at);
    }

    /// <inheritdoc/>
    public override string At(double u)
    {
        double low = FromOne ? 1 - Low : Low,
            high = FromOne ? 1 - High : High;
        string value = Math.Exp(Math.Log(low) + u * (Math.Log(high) - Math.Log(low))).ToString("G3", CultureInfo.InvariantCulture);
        double rounded = double.Parse(value, CultureInfo.InvariantCulture);
        return (FromOne ? (double)(1 - (decimal)rounded) : rounded).ToString(CultureInfo.InvariantCulture);
    }
}
