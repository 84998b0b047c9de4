using System.Text.Json.Serialization;

namespace Amari.Cli.Lecture;

/// <summary>How a value must stand to what is expected.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Relation>))]
internal enum Relation
{
    /// <summary>Within <see cref="Check.Tolerance"/>.</summary>
    Near,
    AtLeast,
    AtMost,
}

/// <summary>A number that must be as expected.</summary>
/// <param name="Name">What it is, in a few words.</param>
/// <param name="Value">What was found; NaN never passes.</param>
/// <param name="Expected">The number, or the bound.</param>
/// <param name="Relation">How the two must stand.</param>
/// <param name="Tolerance">The largest allowed |value - expected| of <see cref="Relation.Near"/>.</param>
internal sealed record Check(string Name, double Value, double Expected, Relation Relation, double Tolerance = 0)
{
    /// <summary>Whether the value comes from measured times: a test does not hold it, for a busy machine may break it.</summary>
    public bool Timed { get; init; }

    public bool Passed =>
        Relation switch
        {
            Relation.Near => Value == Expected || Math.Abs(Value - Expected) <= Tolerance,
            Relation.AtLeast => Value >= Expected,
            _ => Value <= Expected,
        };

    public static Check Near(string name, double value, double expected, double tolerance = 1e-6) =>
        new(name, value, expected, Relation.Near, tolerance);

    public static Check AtLeast(string name, double value, double bound) => new(name, value, bound, Relation.AtLeast);

    public static Check AtMost(string name, double value, double bound) => new(name, value, bound, Relation.AtMost);
}
