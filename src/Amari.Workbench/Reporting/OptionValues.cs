using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Amari.Reporting;

/// <summary>Options of an optimizer in JSON with their types: numbers, booleans, null for <c>none</c>, and text.</summary>
internal static class OptionValues
{
    private const string None = "none";

    /// <summary>The options as an object.</summary>
    public static JsonObject Of(IReadOnlyDictionary<string, string> options) =>
        new(options.Select(o => KeyValuePair.Create(o.Key, Typed(o.Value))));

    /// <summary>Reads the result of <see cref="Of"/>.</summary>
    public static IReadOnlyDictionary<string, string> Read(JsonPart json)
    {
        var options = new Dictionary<string, string>();
        foreach (var (name, value) in json.Properties())
            options[name] = Text(value);
        return options;
    }

    private static JsonNode? Typed(string value) =>
        value switch
        {
            None => null,
            _ when value == bool.TrueString => true,
            _ when value == bool.FalseString => false,
            _ when long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long integer) => integer,
            _ when double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && double.IsFinite(number) =>
                number,
            _ => value,
        };

    private static string Text(JsonPart value) =>
        value.Value.ValueKind switch
        {
            JsonValueKind.Null => None,
            JsonValueKind.True => bool.TrueString,
            JsonValueKind.False => bool.FalseString,
            JsonValueKind.Number when value.Value.TryGetInt64(out long integer) => integer.ToString(CultureInfo.InvariantCulture),
            JsonValueKind.Number => value.Number().ToString(CultureInfo.InvariantCulture),
            JsonValueKind.String => value.Text(),
            _ => throw value.Wrong("a number, true, false, null or a text"),
        };
}
