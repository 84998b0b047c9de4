using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The held-out loss at the end by the shape of the schedule, with each optimizer's rank.</summary>
internal static class ScheduleTable
{
    /// <summary>The table.</summary>
    public static string Of(JsonObject recipe)
    {
        var comparisons = recipe["parts"]!.AsArray().Select(p => p!["comparison"]!).ToList();
        var names = comparisons[0]["optimizers"]!.AsArray().Select(o => (string)o!["optimizer"]!).ToList();
        string table = Markdown.Table(
            ["schedule", .. names.Select(n => $"{n}: held-out loss (rank)")],
            comparisons.Select(c => (IReadOnlyList<string>)[(string)c["schedule"]!, .. Cells(c, names)])
        );
        var first = comparisons[0];
        int seeds = first["optimizers"]![0]!["runs"]!.AsArray().Count;
        var orders = comparisons.GroupBy(c => string.Join(" < ", Ranked(c).Select(r => r.Name))).OrderByDescending(g => g.Count()).ToList();
        string flips =
            orders.Count == 1
                ? $"The ranking is the same with every shape: {orders[0].Key}."
                : "The rankings, lowest loss first: "
                    + string.Join("; ", orders.Select(g => $"{g.Key} ({string.Join(" / ", g.Select(c => c["schedule"]))})"))
                    + ".";
        return $"`{recipe["commands"]![0]}`, and the same with the other shapes: medians of {seeds} seeds, every optimizer at its defaults."
            + $"\n\n{table}\n\n{flips}";
    }

    private static IEnumerable<string> Cells(JsonNode c, IReadOnlyList<string> names)
    {
        var ranked = Ranked(c).ToList();
        return names.Select(n =>
            ranked.FindIndex(r => r.Name == n) is var i and >= 0
                ? $"{Amari.Reporting.Number.Short(ranked[i].Loss, 4)} ({i + 1})"
                : "not finite"
        );
    }

    private static IEnumerable<(string Name, double Loss)> Ranked(JsonNode c) =>
        c["optimizers"]!
            .AsArray()
            .Where(o => o!["runs"]!.AsArray().All(r => r!["heldOut"] is not null))
            .Select(o => ((string)o!["optimizer"]!, Markdown.Median(o["runs"]!.AsArray().Select(r => (double)r!["heldOut"]!))))
            .OrderBy(o => o.Item2);
}
