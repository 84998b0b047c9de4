using System.Globalization;

namespace Amari.Training;

/// <summary>One of several values with equal probability.</summary>
/// <param name="Option">The name of the option, as in settings.</param>
/// <param name="Values">At least two.</param>
public sealed record SearchChoice(string Option, IReadOnlyList<string> Values) : SearchDimension(Option)
{
    /// <inheritdoc/>
    public override string At(double u) => Values[Math.Min((int)(u * Values.Count), Values.Count - 1)];
}
