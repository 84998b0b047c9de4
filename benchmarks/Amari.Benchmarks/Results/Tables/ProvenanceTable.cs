using System.Text.Json.Nodes;
using Amari.Training;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>On which machine, from which commit and when each recipe ran.</summary>
internal static class ProvenanceTable
{
    /// <summary>The table.</summary>
    public static string Of(IReadOnlyList<(Recipe Recipe, JsonObject? Json)> recipes) =>
        Markdown.Table(
            ["recipe", "begun (UTC)", "version, commit", "machine", "threads", "at the same time"],
            recipes.Select(r => (IReadOnlyList<string>)(r.Json is null ? [r.Recipe.Id, "not run yet", "-", "-", "-", "-"] : Row(r.Json)))
        );

    private static string[] Row(JsonObject recipe)
    {
        var starts = recipe["parts"]!.AsArray().Select(p => p!["comparison"]?["provenance"] ?? p["provenance"]).OfType<JsonNode>().ToList();
        if (starts.Count == 0)
            return [(string)recipe["id"]!, "-", "-", "-", "-", "-"];
        string Each(Func<JsonNode, string> of) => string.Join("; ", starts.Select(of).Distinct());
        return
        [
            (string)recipe["id"]!,
            starts.Select(s => (string)s["started"]!).Min(StringComparer.Ordinal)!,
            Each(s => $"{s["version"]}, {((string?)s["commit"])?[..Math.Min(8, ((string)s["commit"]!).Length)] ?? "unknown"}"),
            Each(s => $"{Cores(s["machine"]!)}, {s["machine"]!["processor"]}"),
            Each(s => $"{s["threads"]}"),
            $"{recipe["jobs"]}",
        ];
    }

    private static string Cores(JsonNode machine) => Machine.InWords((int)machine["cores"]!, (int?)machine["systemCores"]);
}
