using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The optimizer with the lowest held-out loss on each workload, at the defaults and tuned alike, and those that cannot be told
/// apart from it.</summary>
internal static class WinnerTable
{
    private const string Defaults = "defaults-",
        Tuned = "tuned-";
    private const int MostNamed = 3; // more ties are only counted

    /// <summary>The table, with a row for each recipe of tuned optimizers.</summary>
    /// <param name="recipes">All recipes; the JSON is null if one has not been run.</param>
    public static string Of(IReadOnlyList<(Recipe Recipe, JsonObject? Json)> recipes)
    {
        return Markdown.Table(
            ["workload", "at the defaults", "tuned alike"],
            from r in recipes
            where r.Recipe.Id.StartsWith(Tuned, StringComparison.Ordinal)
            let workload = r.Recipe.Id[Tuned.Length..]
            select (IReadOnlyList<string>)[workload, Cell(Defaults + workload), Cell(r.Recipe.Id)]
        );

        string Cell(string id) => recipes.Any(r => r.Recipe.Id == id) ? Winner(recipes.First(r => r.Recipe.Id == id).Json) : "-";
    }

    private static string Winner(JsonObject? recipe)
    {
        if (recipe is null)
            return "not run yet";
        var c = recipe["parts"]![0]!["comparison"]!;
        if ((string?)c["leader"] is not { } leader)
            return "none: every optimizer had trouble";
        var ties = ComparisonTable.Ties(c);
        int others = c["optimizers"]!.AsArray().Count - 1;
        string? who =
            ties.Count == 0 ? null
            : ties.Count <= MostNamed ? $"{Markdown.Join(ties)} cannot"
            : ties.Count < others ? $"{ties.Count} of the {others} others cannot"
            : $"none of the {others} others can";
        var unclear = ComparisonTable.Unclear(c);
        return $"`{leader}`"
            + (who is null ? "" : $"; {who} be told apart from it")
            + (
                unclear.Count == 0 ? ""
                : unclear.Count <= MostNamed
                    ? $"; {Markdown.Join(unclear)} {(unclear.Count == 1 ? "is" : "are")} worse with every seed, but not beyond chance"
                : $"; {unclear.Count} others are worse with every seed, but not beyond chance"
            );
    }
}
