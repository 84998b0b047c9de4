using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The table of a comparison on one workload, its verdict, and what tuning chose.</summary>
internal static class ComparisonTable
{
    private const double Level = Amari.Reporting.PairedTest.Level;

    /// <summary>The text.</summary>
    public static string Of(JsonObject recipe)
    {
        var c = recipe["parts"]![0]!["comparison"]!;
        var optimizers = c["optimizers"]!.AsArray().Select(o => o!).ToList();
        string? first = (string?)c["firstOrder"];
        bool isBusy = (int)c["busyRuns"]! > 0;
        string[] heads =
        [
            "optimizer",
            "held-out loss at the end",
            "lowest",
            $"{(IsRatio(c) ? "times" : "minus")} {c["leader"] ?? "the leader"}'s",
            $"{c["metric"]}",
            "training loss",
            $"time and steps to {first ?? "the first-order"}'s end",
            $"share of {first ?? "its"}'s {(isBusy ? "steps" : "time")}",
            "steps",
            "ms/step (quartiles)",
            "CPU / wall",
        ];
        string table = Markdown.Table(heads, optimizers.Select(o => Cells(c, o)));
        return string.Join(
            "\n\n",
            ((string?[])[Setting(recipe, c), table, Verdict(c, optimizers), Chosen(c, optimizers)]).OfType<string>()
        );
    }

    private static string Setting(JsonObject recipe, JsonNode c)
    {
        int trials = (int)c["trials"]!,
            seeds = c["optimizers"]![0]!["runs"]!.AsArray().Count;
        string tuned =
            trials == 0
                ? ""
                : $" Tuning: {trials} trials for each optimizer at a quarter of the budget, and the best {c["fullTrials"]} again at the "
                    + "full one.";
        string busy =
            (int)c["busyRuns"]! == 0
                ? ""
                : $" {c["busyRuns"]} runs waited for a processor more than a fifth of their time, so steps are compared, not seconds.";
        string known = (bool)c["defaultsChosenHere"]! ? " The library's defaults were chosen on this workload, among others." : "";
        return $"`{recipe["commands"]![0]}`: {c["description"]}; batch {c["batchSize"]}. {c["budget"]} for each run, {seeds} seeds."
            + tuned
            + busy
            + known;
    }

    private static string[] Cells(JsonNode c, JsonNode o)
    {
        string name = (string)o["optimizer"]!;
        var runs = o["runs"]!.AsArray().Select(r => r!).ToList();
        var reached = runs.Where(r => r["race"] is not null).ToList();
        var quartiles = runs.Select(r => r["stepMilliseconds"]!.AsArray()).ToList();
        bool isTimed = quartiles.All(q => q[0] is not null);
        return
        [
            name,
            Markdown.Spread(runs.Select(r => r["heldOut"]), 4) + Troubles(runs),
            Markdown.Spread(runs.Select(r => r["bestHeldOut"]), 4).Split(' ')[0],
            name == (string?)c["leader"] ? "lowest"
            : o["endTest"] is { } end ? Markdown.Interval(end)
            : "-",
            Markdown.Spread(runs.Select(r => r["metric"]), 4),
            Markdown.Spread(runs.Select(r => r["training"])).Split(' ')[0],
            reached.Count == 0
                ? "never"
                : $"{Markdown.Spread(reached.Select(r => r["race"]![0]))} s, {Markdown.Whole(reached.Select(r => r["race"]![1]))}"
                    + (reached.Count < runs.Count ? $"; {reached.Count} of {runs.Count} seeds" : ""),
            name == (string?)c["firstOrder"] ? "1"
            : o[(int)c["busyRuns"]! > 0 ? "stepsTest" : "secondsTest"] is { } race && reached.Count > 0 ? Markdown.Interval(race)
            : "-",
            Markdown.Whole(runs.Select(r => r["steps"])),
            isTimed ? $"{Median(quartiles, 1)} ({Median(quartiles, 0)}..{Median(quartiles, 2)})" : "-",
            Markdown.Spread(runs.Select(r => r["cpuOverWall"]), 2).Split(' ')[0],
        ];
    }

    private static string Median(IEnumerable<JsonArray> quartiles, int index) =>
        Amari.Reporting.Number.Short(Markdown.Median(quartiles.Select(q => q[index]!.GetValue<double>())));

    private static string Troubles(List<JsonNode> runs) =>
        string.Concat(
            runs.Where(r => (bool)r["troubled"]!)
                .GroupBy(r => ((string)r["status"]!).Replace('-', ' '))
                .Select(g => $"; {g.Key}: {g.Count()} of {runs.Count}")
        );

    private static string? Verdict(JsonNode c, IReadOnlyList<JsonNode> optimizers)
    {
        if ((string?)c["leader"] is not { } leader)
            return "Every optimizer had trouble with some seed.";
        var ties = Ties(c);
        var unclear = Unclear(c);
        string[] beaten = [.. optimizers.Where(o => IsWorse(c, o)).Select(Name)],
            troubled = [.. optimizers.Where(o => o["runs"]!.AsArray().Any(r => (bool)r!["troubled"]!)).Select(Name)];
        return $"`{leader}` ends with the lowest mean held-out loss."
            + (beaten.Length > 0 ? $" It is better than {Markdown.Join(beaten)} beyond chance." : "")
            + (ties.Count > 0 ? $" {Markdown.Join(ties)} cannot be told apart from it with these seeds." : "")
            + (
                unclear.Count > 0
                    ? $" {Markdown.Join(unclear)} {(unclear.Count == 1 ? "is" : "are")} worse with every seed, but "
                        + $"{(unclear.Count == 1 ? "varies" : "vary")} too much for the test."
                    : ""
            )
            + (
                troubled.Length > 0
                    ? $" {Markdown.Join(troubled)} had trouble, and {(troubled.Length == 1 ? "is" : "are")} not compared."
                    : ""
            );
    }

    /// <summary>The optimizers that cannot be told apart from the one with the lowest mean held-out loss, as code.</summary>
    /// <param name="c">The comparison.</param>
    public static IReadOnlyList<string> Ties(JsonNode c) =>
        [.. from o in c["optimizers"]!.AsArray() where o["endTest"] is not null && !IsWorse(c, o) && !IsUnclear(c, o) select Name(o)];

    /// <summary>The optimizers that are worse with every seed, which the test does not show, as code.</summary>
    /// <param name="c">The comparison.</param>
    public static IReadOnlyList<string> Unclear(JsonNode c) =>
        [.. c["optimizers"]!.AsArray().Select(o => o!).Where(o => IsUnclear(c, o)).Select(Name)];

    /// <summary>Whether the test does not show that it is worse than the leader, although it is with each of at least three
    /// seeds.</summary>
    private static bool IsUnclear(JsonNode c, JsonNode o)
    {
        if (o["endTest"] is null || IsWorse(c, o))
            return false;
        var leader = Losses(c["optimizers"]!.AsArray().First(other => (string?)other!["optimizer"] == (string?)c["leader"])!);
        var pairs = Losses(o).Where(l => leader.ContainsKey(l.Key)).ToList();
        return pairs.Count >= Amari.Reporting.Contest.SeedsForAll && pairs.TrueForAll(l => l.Value > leader[l.Key]);

        static Dictionary<int, double> Losses(JsonNode of) =>
            (of["runs"]?.AsArray() ?? [])
                .Where(r => r!["heldOut"] is not null)
                .ToDictionary(r => (int)r!["seed"]!, r => (double)r!["heldOut"]!);
    }

    private static bool IsWorse(JsonNode c, JsonNode o) =>
        o["endTest"] is { } test && (double)test["holm"]! <= Level && (double)test["mean"]! > (IsRatio(c) ? 1 : 0);

    private static string Name(JsonNode o) => $"`{o["optimizer"]}`";

    /// <summary>Whether the ends were compared by their ratio.</summary>
    private static bool IsRatio(JsonNode c) => (string?)c["endScale"] == "ratio";

    private static string? Chosen(JsonNode c, IReadOnlyList<JsonNode> optimizers) =>
        (int)c["trials"]! == 0
            ? null
            : Markdown.Table(
                ["optimizer", "schedule that tuning chose", "options that differ from the defaults", "trials in trouble"],
                optimizers.Select(o =>
                    (IReadOnlyList<string>)
                        [
                            (string)o["optimizer"]!,
                            (string)o["schedule"]!,
                            o["options"]!.AsObject() is { Count: > 0 } options
                                ? string.Join(", ", options.Select(p => $"`{p.Key}` {Short((string)p.Value!)}"))
                                : "none",
                            $"{o["troubledTrials"]}",
                        ]
                )
            );

    private static string Short(string value) =>
        double.TryParse(value, System.Globalization.CultureInfo.InvariantCulture, out double number)
            ? Amari.Reporting.Number.Short(number)
            : value;
}
