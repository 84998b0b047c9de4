using System.Text.Json.Serialization;

namespace Amari.Cli.Lecture;

/// <summary>The required relation of a value to its expected value.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<Relation>))]
internal enum Relation
{
    /// <summary>Within <see cref="Check.Tolerance"/>.</summary>
    Near,
    AtLeast,
    AtMost,
}

/// <summary>A number with its expected value.</summary>
/// <param name="Name">The quantity, in a few words.</param>
/// <param name="Value">The measured value; NaN never passes.</param>
/// <param name="Expected">The expected value, or the bound.</param>
/// <param name="Relation">The required relation.</param>
/// <param name="Tolerance">The maximum |value - expected| for <see cref="Relation.Near"/>.</param>
internal sealed record Check(string Name, double Value, double Expected, Relation Relation, double Tolerance = 0)
{
    /// <summary>Whether the value comes from measured times. Tests do not require such checks, because a busy machine may fail
    /// them.</summary>
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
