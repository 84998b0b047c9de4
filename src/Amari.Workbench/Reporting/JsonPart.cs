using System.Globalization;
using System.Text.Json;

namespace Amari.Reporting;

/// <summary>A part of a JSON document from elsewhere. A value of another type than expected is an error that names its place.</summary>
/// <param name="Place">Its place, such as <c>runs[0].seed</c>.</param>
/// <param name="Value">Its value; undefined if it is missing.</param>
internal readonly record struct JsonPart(string Place, JsonElement Value)
{
    private const int MaxShown = 40; // characters of a wrong value

    /// <summary>A property of an object; missing if it does not exist.</summary>
    /// <exception cref="InvalidDataException">This is not an object.</exception>
    public JsonPart this[string name] =>
        new(
            Place.Length == 0 ? name : $"{Place}.{name}",
            Value.ValueKind != JsonValueKind.Object ? throw Wrong("an object")
                : Value.TryGetProperty(name, out var found) ? found
                : default
        );

    /// <summary>Whether it is null or missing.</summary>
    public bool IsNull => Value.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>The elements of an array; none if it is null or missing.</summary>
    public IReadOnlyList<JsonPart> Items()
    {
        string place = Place;
        return IsNull ? []
            : Value.ValueKind == JsonValueKind.Array ? [.. Value.EnumerateArray().Select((v, i) => new JsonPart($"{place}[{i}]", v))]
            : throw Wrong("an array");
    }

    /// <summary>The elements of an array that must exist.</summary>
    public IReadOnlyList<JsonPart> RequiredItems() => IsNull ? throw Wrong("an array") : Items();

    /// <summary>The names and values of an object; none if it is null or missing.</summary>
    public IReadOnlyList<(string Name, JsonPart Value)> Properties()
    {
        string place = Place;
        return IsNull ? []
            : Value.ValueKind == JsonValueKind.Object
                ? [.. Value.EnumerateObject().Select(p => (p.Name, new JsonPart($"{place}.{p.Name}", p.Value)))]
            : throw Wrong("an object");
    }

    public string Text() => Value.ValueKind == JsonValueKind.String ? Value.GetString()! : throw Wrong("a text");

    public string? OptionalText() => IsNull ? null : Text();

    public bool Flag() =>
        !IsNull && (Value.ValueKind is JsonValueKind.True or JsonValueKind.False ? Value.GetBoolean() : throw Wrong("true or false"));

    /// <summary>A number; NaN if it is null or missing.</summary>
    public double Number() =>
        IsNull ? double.NaN
        : Value.ValueKind == JsonValueKind.Number && double.IsFinite(Value.GetDouble()) ? Value.GetDouble()
        : throw Wrong("a number or null");

    /// <summary>A number that must exist.</summary>
    public double RequiredNumber() => IsNull ? throw Wrong("a number") : Number();

    public double? OptionalNumber() => IsNull ? null : Number();

    /// <summary>A number ≥ 0 that must exist.</summary>
    public double Seconds() => RequiredNumber() is >= 0 and var seconds ? seconds : throw Wrong("a number >= 0");

    /// <summary>A number, NaN if it is null; null if it is missing.</summary>
    public double? MeasuredNumber() => Value.ValueKind == JsonValueKind.Undefined ? null : Number();

    /// <summary>An integer ≥ 0.</summary>
    public long Count() =>
        Value.ValueKind == JsonValueKind.Number && Value.TryGetInt64(out long n) && n >= 0 ? n : throw Wrong("an integer >= 0");

    public long? OptionalCount() => IsNull ? null : Count();

    /// <summary>An integer ≥ 0 in the range of <see cref="int"/>.</summary>
    public int SmallCount() => Count() is <= int.MaxValue and var n ? (int)n : throw Wrong("an integer of 32 bits");

    /// <summary>An array <c>[step, seconds, ...]</c> of a given length; later numbers may be null, which is NaN.</summary>
    public (long Step, double Seconds, IReadOnlyList<double> Values) Point(int length) =>
        RequiredItems() is { } items && items.Count == length
            ? (items[0].Count(), items[1].Seconds(), [.. items.Skip(2).Select(i => i.Number())])
            : throw Wrong(FormattableString.Invariant($"an array of {length} numbers"));

    /// <summary>Arrays as <see cref="Point"/> reads them, by rising steps; none if it is null or missing.</summary>
    public IReadOnlyList<(long Step, double Seconds, IReadOnlyList<double> Values)> Points(int length)
    {
        List<(long Step, double Seconds, IReadOnlyList<double> Values)> points = [];
        foreach (var item in Items())
        {
            var point = item.Point(length);
            if (points.Count > 0 && (point.Step <= points[^1].Step || point.Seconds < points[^1].Seconds))
                throw new InvalidDataException(
                    FormattableString.Invariant(
                        $"{item.Place} has step {point.Step} and {point.Seconds} s after step {points[^1].Step} and {points[^1].Seconds} s"
                    )
                );
            points.Add(point);
        }
        return points;
    }

    /// <summary>The value of the first name that it equals.</summary>
    public T OneOf<T>(params IReadOnlyList<(string Name, T Value)> names)
    {
        string text = Text();
        foreach (var (name, value) in names)
            if (name == text)
                return value;
        throw Wrong("one of " + string.Join(", ", names.Select(n => n.Name)));
    }

    public DateTimeOffset Time() =>
        DateTimeOffset.TryParse(
            Text(),
            CultureInfo.InvariantCulture,
            DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal,
            out var time
        )
            ? time
            : throw Wrong("a time as in ISO 8601");

    /// <summary>Why a document cannot be read, as a part of a sentence.</summary>
    public static string Reason(Exception e) => e.Message.Split(" LineNumber")[0].Split(" (Parameter")[0].TrimEnd('.');

    /// <summary>The error that this is not what it must be.</summary>
    public InvalidDataException Wrong(string expected) =>
        new(
            Value.ValueKind == JsonValueKind.Undefined ? $"{Place} is missing; it must be {expected}"
            : Place.Length == 0 ? $"it is {Shown()}; it must be {expected}"
            : $"{Place} is {Shown()}; it must be {expected}"
        );

    private string Shown() =>
        Value.ValueKind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "an array",
            JsonValueKind.String => $"'{Short(Value.GetString()!)}'",
            _ => Short(Value.GetRawText()),
        };

    private static string Short(string text) => text.Length > MaxShown ? text[..MaxShown] + "..." : text;
}
