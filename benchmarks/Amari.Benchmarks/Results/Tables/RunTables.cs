using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The tables of ranks, faults and long runs.</summary>
internal static class RunTables
{
    /// <summary>One rank and two.</summary>
    public static string Scaling(JsonObject recipe)
    {
        var parts = recipe["parts"]!.AsArray().Select(p => p!).ToList();
        string missing = string.Concat(
            parts.Where(p => p["missing"] is not null).Select(p => $"\n\n{p["name"]}: not run, {p["missing"]}.")
        );
        var documents = parts.Select(p => p["document"]).OfType<JsonNode>().ToList();
        string fit = string.Concat(
            documents
                .Where(d => d["fit"] is not null)
                .Select(d =>
                    $"\n\nAn all-reduce between two ranks takes {Markdown.Number(d["fit"]!["alphaMilliseconds"])} ms, and "
                    + $"{Markdown.Number(d["fit"]!["betaMillisecondsPerMegabyte"])} ms per megabyte."
                )
        );
        return Markdown.Table(
                ["ranks", "model", "optimizer", "examples of a rank", "ms/step", "examples/s", "communication"],
                from d in documents
                from s in d["steps"]!.AsArray()
                select (IReadOnlyList<string>)
                    [
                        $"{d["ranks"]}",
                        $"{s["model"]}",
                        $"{s["optimizer"]}",
                        $"{s["batchOfRank"]}",
                        Markdown.Number(s["milliseconds"]),
                        Markdown.Number(s["examplesPerSecond"]),
                        Amari.Reporting.Number.Short(100 * (double)s["communicationShare"]!, 2) + " %",
                    ]
            )
            + fit
            + missing;
    }

    /// <summary>Injected faults.</summary>
    public static string Faults(JsonObject recipe)
    {
        var kinds = recipe["parts"]![0]!["document"]!["kinds"]!.AsArray().Select(k => k!).ToList();
        string table = Markdown.Table(
            ["kind", "what is tested", "faults", "losses"],
            kinds.Select(k =>
                (IReadOnlyList<string>)
                    [
                        (string)k["name"]!,
                        (string)k["promise"]!,
                        (string?)k["missing"] is { } why ? $"not tried: {why}" : $"{k["faults"]}",
                        $"{k["losses"]!.AsArray().Count}",
                    ]
            )
        );
        return $"{kinds.Sum(k => (int)k["faults"]!)} faults, **{kinds.Sum(k => k["losses"]!.AsArray().Count)} losses**.\n\n{table}";
    }

    /// <summary>Long runs.</summary>
    public static string Endurance(JsonObject recipe)
    {
        var runs = recipe["parts"]!.AsArray().SelectMany(p => p!["document"]!["runs"]!.AsArray()).Select(r => r!).ToList();
        string table = Markdown.Table(
            ["workload", "optimizer", "batches", "runs x steps", "came apart", "lowest loss", "end", "metric", "skipped", "cut"],
            runs.GroupBy(r => ((string)r["workload"]!, (string)r["optimizer"]!, (bool)r["corrupted"]!))
                .OrderBy(g => g.Key)
                .Select(g =>
                    (IReadOnlyList<string>)
                        [
                            g.Key.Item1,
                            g.Key.Item2,
                            g.Key.Item3 ? "1 % corrupted" : "clean",
                            $"{g.Count()} x {g.Max(r => (long)r["steps"]!)}",
                            $"{g.Count(r => (bool)r["cameApart"]!)}",
                            Markdown.Spread(g.Select(r => r["best"])),
                            Markdown.Spread(g.Select(r => r["end"])),
                            Markdown.Spread(g.Select(r => r["metric"])),
                            $"{g.Sum(r => (long)r["skipped"]!)}",
                            $"{g.Sum(r => (long)r["cut"]!)}",
                        ]
                )
        );
        return $"{runs.Count(r => (bool)r["cameApart"]!)} of {runs.Count} runs came apart.\n\n{table}";
    }
}
