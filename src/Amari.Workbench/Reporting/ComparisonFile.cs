using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>The arguments of a comparison and what it has come to: <c>comparison.json</c> next to its results, by which it can be
/// continued.</summary>
/// <param name="Arguments">The command line, in full.</param>
/// <param name="Json">What --json says, as a full path; null if nothing.</param>
/// <param name="SoFar">The runs and trials that have ended; null before the first.</param>
internal sealed record ComparisonFile(IReadOnlyList<string> Arguments, string? Json, BenchmarkResult? SoFar)
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "comparison.json";

    /// <summary>The name of the folder that holds the checkpoints of the run under way.</summary>
    public const string Unfinished = "unfinished";

    /// <summary>The content of the file.</summary>
    public string ToJson() =>
        new JsonObject
        {
            ["arguments"] = new JsonArray([.. Arguments.Select(a => JsonValue.Create(a))]),
            ["json"] = Json,
            ["comparison"] = SoFar is null ? null : JsonNode.Parse(SavedComparison.Write(SoFar)),
        }.ToJsonString();

    /// <summary>What <see cref="ToJson"/> wrote.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static ComparisonFile Parse(string text)
    {
        try
        {
            var root = JsonNode.Parse(text) as JsonObject ?? throw new JsonException("it is no JSON object");
            if (root["arguments"] is not JsonArray)
                throw new JsonException("it lacks the arguments of the comparison");
            return new(
                [.. root["arguments"]!.AsArray().Select(a => (string)a!)],
                (string?)root["json"],
                root["comparison"] is { } comparison ? SavedComparison.Read(comparison.ToJsonString()) : null
            );
        }
        catch (Exception e) when (e is JsonException or NullReferenceException or InvalidOperationException)
        {
            throw new InvalidDataException($"{FileName} is damaged: {e.Message}", e);
        }
    }
}
