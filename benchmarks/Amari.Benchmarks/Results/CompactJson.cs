using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results;

/// <summary>Small JSON: numbers of five digits, and arrays of numbers in one line.</summary>
internal static class CompactJson
{
    private const int Digits = 5;
    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true,
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>A number; null if it is not finite.</summary>
    public static JsonNode? Of(double? value) =>
        value is { } v && double.IsFinite(v)
            ? JsonValue.Create(double.Parse(v.ToString("G" + Digits, CultureInfo.InvariantCulture), CultureInfo.InvariantCulture))
            : null;

    /// <summary>Numbers.</summary>
    public static JsonArray Array(params double[] values) => new([.. values.Select(v => Of(v))]);

    /// <summary>A copy with shorter numbers.</summary>
    public static JsonNode? Rounded(JsonNode? node) =>
        node switch
        {
            JsonObject o => new JsonObject(o.Select(p => KeyValuePair.Create(p.Key, Rounded(p.Value)))),
            JsonArray a => new JsonArray([.. a.Select(Rounded)]),
            JsonValue v when v.GetValueKind() == JsonValueKind.Number && v.ToJsonString().AsSpan().ContainsAny(".eE") => Of(
                double.Parse(v.ToJsonString(), CultureInfo.InvariantCulture)
            ),
            _ => node?.DeepClone(),
        };

    /// <summary>The text of a file.</summary>
    public static string Text(JsonNode json) =>
        System.Text.RegularExpressions.Regex.Replace(
            json.ToJsonString(Indented),
            @"\[\s+((?:(?:-?[0-9][0-9.eE+-]*|null),?\s*)+)\]",
            m => "[" + string.Join(", ", m.Groups[1].Value.Split(',').Select(n => n.Trim())) + "]"
        ) + "\n";
}
