using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The error of trained networks against the solutions of their equations.</summary>
internal static class EquationTable
{
    /// <summary>The table.</summary>
    public static string Of(JsonObject recipe)
    {
        var all = recipe["parts"]!
            .AsArray()
            .Zip(recipe["commands"]!.AsArray(), (p, c) => (Comparison: p!["comparison"]!, Command: (string)c!));
        return Markdown.Table(
            ["command", "parameters", "error at the end", "goal", "seconds to it", "steps to it", "ms/step", "seeds that reach it"],
            from part in all
            from o in part.Comparison["optimizers"]!.AsArray()
            select (IReadOnlyList<string>)Row(part.Comparison, part.Command, o)
        );
    }

    private static string[] Row(JsonNode c, string command, JsonNode o)
    {
        var runs = o["runs"]!.AsArray().Select(r => r!).ToList();
        var reached = runs.Where(r => r["target"] is not null).ToList();
        return
        [
            $"`{command}`",
            $"{o["parameters"]}",
            Markdown.Spread(runs.Select(r => r["metric"])),
            Markdown.Number(c["target"]!["value"]),
            reached.Count == 0 ? "-" : Markdown.Spread(reached.Select(r => r["target"]![0])),
            reached.Count == 0 ? "-" : Markdown.Spread(reached.Select(r => r["target"]![1]), 4),
            Markdown.Spread(runs.Select(r => r["stepMilliseconds"]![1])).Split(' ')[0],
            $"{reached.Count} of {runs.Count}",
        ];
    }
}
