using System.Globalization;

namespace Amari.Training;

/// <summary>One option that tuning varies.</summary>
/// <param name="Option">Its name, as in settings.</param>
public abstract record SearchDimension(string Option)
{
    /// <summary>The value of another option with which this one has no effect; null for none.</summary>
    public (string Option, string Value)? Unless { get; init; }

    /// <summary>The value at u in [0, 1], as on a command line; numbers with three digits.</summary>
    public abstract string At(double u);
}

/// <summary>A number on a logarithmic scale.</summary>
/// <param name="Option">Its name, as in settings.</param>
/// <param name="Low">Smallest value tried.</param>
/// <param name="High">Largest value tried.</param>
/// <param name="FromOne">The logarithm is of 1 - value: for momenta near 1.</param>
public sealed record SearchRange(string Option, double Low, double High, bool FromOne = false) : SearchDimension(Option)
{
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

/// <summary>One of some values, all of them as often.</summary>
/// <param name="Option">Its name, as in settings.</param>
/// <param name="Values">At least two.</param>
public sealed record SearchChoice(string Option, IReadOnlyList<string> Values) : SearchDimension(Option)
{
    /// <inheritdoc/>
    public override string At(double u) => Values[Math.Min((int)(u * Values.Count), Values.Count - 1)];
}
