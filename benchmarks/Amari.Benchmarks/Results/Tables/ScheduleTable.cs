using System.Text.Json.Nodes;
using Amari.Reporting;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The held-out loss at the end by the shape of the schedule, with each optimizer's rank; and which optimizers change places
/// beyond chance.</summary>
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
                    + "."
                    + string.Concat(Flips(comparisons, names));
        return $"`{recipe["commands"]![0]}`, and the same with the other shapes: medians of {seeds} seeds, every optimizer at its defaults."
            + $"\n\n{table}\n\n{flips}";
    }

    /// <summary>A sentence for each pair of optimizers of which one is better with one shape and the other with another.</summary>
    private static IEnumerable<string> Flips(List<JsonNode> comparisons, List<string> names)
    {
        for (int i = 0; i < names.Count; i++)
        for (int j = i + 1; j < names.Count; j++)
        {
            var tests = comparisons.Select(c => Difference(c, names[i], names[j])).ToList();
            double[] p = Holm.Adjust([.. tests.Select(t => t.P)]);
            var shown = tests
                .Select((t, k) => (Test: t, P: p[k], Schedule: (string)comparisons[k]["schedule"]!))
                .Where(t => t.P <= PairedTest.Level)
                .ToList();
            var (first, second) = (shown.Where(t => t.Test.Mean < 0).ToList(), shown.Where(t => t.Test.Mean > 0).ToList());
            if (first.Count > 0 && second.Count > 0)
                yield return $" `{names[i]}` and `{names[j]}` change places beyond chance: the mean loss of `{names[i]}` is "
                    + $"{string.Join(", ", first.Select(t => Words(t.Test, "lower", t.Schedule, t.P)))}; it is "
                    + $"{string.Join(", ", second.Select(t => Words(t.Test, "higher", t.Schedule, t.P)))}.";
        }

        static string Words(PairedTest test, string how, string schedule, double p) =>
            $"{how} by {Number.Short(Math.Abs(test.Mean))} with {schedule} (p {Number.Short(p, 2)})";
    }

    /// <summary>The held-out losses of one optimizer minus those of another, by seed.</summary>
    private static PairedTest Difference(JsonNode c, string one, string other)
    {
        var (a, b) = (BySeed(one), BySeed(other));
        return PairedTest.Of([.. a.Keys.Where(b.ContainsKey).Select(seed => a[seed] - b[seed])]);

        Dictionary<int, double> BySeed(string name) =>
            c["optimizers"]!.AsArray().Single(o => (string)o!["optimizer"]! == name)!["runs"]!
                .AsArray()
                .Where(r => r!["heldOut"] is not null)
                .ToDictionary(r => (int)r!["seed"]!, r => (double)r!["heldOut"]!);
    }

    private static IEnumerable<string> Cells(JsonNode c, IReadOnlyList<string> names)
    {
        var ranked = Ranked(c).ToList();
        return names.Select(n =>
            ranked.FindIndex(r => r.Name == n) is var i and >= 0 ? $"{Number.Short(ranked[i].Loss, 4)} ({i + 1})" : "not finite"
        );
    }

    private static IEnumerable<(string Name, double Loss)> Ranked(JsonNode c) =>
        c["optimizers"]!
            .AsArray()
            .Where(o => o!["runs"]!.AsArray().All(r => r!["heldOut"] is not null))
            .Select(o => ((string)o!["optimizer"]!, Markdown.Median(o["runs"]!.AsArray().Select(r => (double)r!["heldOut"]!))))
            .OrderBy(o => o.Item2);
}
