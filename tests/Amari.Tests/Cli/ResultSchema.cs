using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Tests.Architecture;
using Json.Schema;

namespace Amari.Tests.Cli;

/// <summary><c>docs/result-schema.json</c>.</summary>
internal static class ResultSchema
{
    public static string Text { get; } = File.ReadAllText(Path.Combine(SourceTests.Root, "docs/result-schema.json"));

    private static readonly JsonSchema Schema = JsonSchema.FromText(Text);

    /// <summary>The places of a document that do not satisfy the schema, with the reason; none if it is valid.</summary>
    public static IReadOnlyList<string> Faults(JsonNode document)
    {
        var results = Schema.Evaluate(
            JsonSerializer.SerializeToElement(document),
            new() { OutputFormat = OutputFormat.List, RequireFormatValidation = true }
        );
        if (results.IsValid)
            return [];
        var faults = (results.Details ?? [])
            .Where(d => d.Errors is not null)
            .SelectMany(d => d.Errors!.Select(e => $"{d.InstanceLocation}: {e.Key} {e.Value}"))
            .ToList();
        return faults.Count > 0 ? faults : ["invalid"];
    }
}
