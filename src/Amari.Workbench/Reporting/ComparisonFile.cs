using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>The arguments and the results so far of a comparison, in <c>comparison.json</c> next to its results, so that it can be
/// continued.</summary>
/// <param name="Arguments">The complete command line.</param>
/// <param name="Json">The value of --json as a full path; null if it was not set.</param>
/// <param name="SoFar">The completed runs and trials by workload; empty before the first.</param>
/// <param name="Provenance">How and where it was started, and continued; null if an earlier version began it.</param>
internal sealed record ComparisonFile(
    IReadOnlyList<string> Arguments,
    string? Json,
    IReadOnlyList<BenchmarkResult> SoFar,
    Provenance? Provenance = null
)
{
    /// <summary>The data and the targets by workload; empty if an earlier version began it.</summary>
    public IReadOnlyList<MeasuredSubject> Subjects { get; init; } = [];

    /// <summary>The name of the file.</summary>
    public const string FileName = "comparison.json";

    /// <summary>The name of the folder with the checkpoints of the current run.</summary>
    public const string Unfinished = "unfinished";

    /// <summary>The content of the file.</summary>
    public string ToJson() =>
        new JsonObject
        {
            ["arguments"] = new JsonArray([.. Arguments.Select(a => JsonValue.Create(a))]),
            ["json"] = Json,
            ["provenance"] = Provenance is null ? null : ProvenanceJson.Of(Provenance),
            ["subjects"] = new JsonArray([
                .. Subjects.Select(s => new JsonObject
                {
                    ["workload"] = s.Workload,
                    ["data"] = s.Data,
                    ["metric"] = s.Target.Metric,
                    ["value"] = s.Target.Value,
                }),
            ]),
            ["comparisons"] = new JsonArray([.. SoFar.Select(c => JsonNode.Parse(SavedComparison.Write(c)))]),
        }.ToJsonString();

    /// <summary>Parses the output of <see cref="ToJson"/>.</summary>
    /// <param name="text">The content of the file.</param>
    /// <param name="file">Its path, for messages.</param>
    /// <exception cref="InvalidDataException">The text is damaged; the message says how.</exception>
    public static ComparisonFile Parse(string text, string file)
    {
        try
        {
            using var document = JsonDocument.Parse(text);
            var root = new JsonPart("", document.RootElement);
            return new(
                [.. root["arguments"].RequiredItems().Select(a => a.Text())],
                root["json"].OptionalText(),
                [.. root["comparisons"].RequiredItems().Select(c => SavedComparison.Read(c.Value.GetRawText()))],
                root["provenance"] is { IsNull: false } provenance ? ProvenanceJson.Read(provenance) : null
            )
            {
                Subjects =
                [
                    .. root["subjects"]
                        .Items()
                        .Select(s => new MeasuredSubject(
                            s["workload"].Text(),
                            s["data"].Text(),
                            new(s["metric"].Text(), s["value"].RequiredNumber())
                        )),
                ],
            };
        }
        catch (Exception e) when (e is JsonException or InvalidDataException)
        {
            string why = e is JsonException ? $"it is not JSON: {JsonPart.Reason(e)}" : e.Message;
            throw new InvalidDataException($"'{file}' is damaged: {why}.", e);
        }
    }
}
