using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>Whether K-FAC reaches the goals: how long it takes to the held-out loss at which the best first-order method ends.</summary>
/// <remarks>This is one comparison for each recipe, planned before the runs, so its p is not corrected.</remarks>
internal static class GoalTable
{
    private const string Judged = "kfac",
        Planned = "p";
    private const double Third = 1.0 / 3,
        Level = Amari.Reporting.PairedTest.Level;

    private static readonly (string Id, double? AtMost)[] Goals =
    [
        ("defaults-autoencoder", Third),
        ("defaults-fashion-conv", null),
        ("defaults-char-transformer", null),
        ("tuned-autoencoder", null),
        ("tuned-fashion-conv", null),
        ("tuned-char-transformer", null),
    ];

    /// <summary>The table.</summary>
    /// <param name="read">The JSON of a recipe; null if it has not been run.</param>
    public static string Of(Func<string, JsonObject?> read) =>
        Markdown.Table(
            [
                "recipe",
                "best first-order method",
                "K-FAC's time as a share of its time (95 % interval, p)",
                "goal",
                "answer",
                "K-FAC's time beyond its median steps",
            ],
            Goals.Select(g => (IReadOnlyList<string>)Row(g.Id, g.AtMost, read(g.Id)))
        );

    private static string[] Row(string id, double? atMost, JsonObject? recipe)
    {
        string goal = atMost is null ? "not later, significantly" : "a third or less";
        if (recipe is null)
            return [id, "not run yet", "-", goal, "-", "-"];
        var c = recipe["parts"]![0]!["comparison"]!;
        var kfac = c["optimizers"]!.AsArray().First(o => (string)o!["optimizer"]! == Judged)!;
        string first = (string?)c["firstOrder"] ?? "none without trouble",
            by = (int)c["busyRuns"]! > 0 && kfac["stepsTest"] is { } steps
                ? $"; the machine was busy, in steps {Markdown.Interval(steps, Planned)}"
                : "";
        return kfac["secondsTest"] is { } test
            ? [id, first, Markdown.Interval(test, Planned) + by, goal, Answer(test, kfac["runs"]!.AsArray(), atMost), Beyond(kfac)]
            : [id, first, "-", goal, "**not met**: not compared, because of trouble", Beyond(kfac)];
    }

    /// <summary>The share of the time that is not its steps' median: measurements and refreshes of the curvature, and the long first
    /// steps.</summary>
    private static string Beyond(JsonNode kfac)
    {
        double[] shares =
        [
            .. kfac["runs"]!
                .AsArray()
                .Where(r => r!["stepMilliseconds"]![1] is not null)
                .Select(r => 1 - (double)r!["steps"]! * (double)r["stepMilliseconds"]![1]! / 1000 / (double)r["seconds"]!),
        ];
        return shares.Length == 0 ? "-" : FormattableString.Invariant($"{100 * Markdown.Median(shares):F0} %");
    }

    private static string Answer(JsonNode test, JsonArray runs, double? atMost)
    {
        int missed = runs.Count(r => r!["race"] is null);
        double share = (double)test["mean"]!;
        bool isSignificant = (double)test[Planned]! <= Level;
        return missed > 0 ? $"**not met**: {missed} of {runs.Count} seeds do not get there"
            : atMost is { } most ? (share <= most ? "met" : "**not met**") + (isSignificant ? "" : ", not beyond chance")
            : share >= 1 ? $"**not met**: later{(isSignificant ? "" : ", not beyond chance")}"
            : isSignificant ? "met"
            : "**not met**: earlier, but not beyond chance";
    }
}
