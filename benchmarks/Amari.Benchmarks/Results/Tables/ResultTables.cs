using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>The generated blocks of the results page.</summary>
internal static class ResultTables
{
    /// <summary>The blocks that summarise several recipes.</summary>
    public const string Winners = "winners",
        Goals = "goals",
        Provenance = "provenance";

    /// <summary>The content of all blocks, by name: one for each recipe, and the summaries.</summary>
    public static IReadOnlyDictionary<string, string> Of(IReadOnlyList<Recipe> recipes, Workspace space)
    {
        var read = recipes.Select(r => (Recipe: r, Json: space.Read(r))).ToList();
        var blocks = read.ToDictionary(r => r.Recipe.Id, r => r.Json is null ? NotRun(r.Recipe) : Trial(r.Json) + Of(r.Json));
        blocks[Winners] = WinnerTable.Of(read);
        blocks[Goals] = GoalTable.Of(id => read.First(r => r.Recipe.Id == id).Json);
        blocks[Provenance] = ProvenanceTable.Of(read);
        return blocks;
    }

    /// <summary>The table of a recipe.</summary>
    public static string Of(JsonObject recipe) =>
        (string)recipe["id"]! switch
        {
            "schedules" or "schedules-digits" => ScheduleTable.Of(recipe),
            "equations" => EquationTable.Of(recipe),
            "kfac" => Timed(recipe, CostTables.Kfac(recipe)),
            "ratios" => Timed(recipe, CostTables.Ratios(recipe)),
            "steps" => Timed(recipe, CostTables.Steps(recipe)),
            "spectrum" => Timed(recipe, CostTables.Spectrum(recipe)),
            "curvature" => Timed(recipe, CostTables.Curvature(recipe)),
            "plan" => Timed(recipe, CostTables.Plan(recipe)),
            "scaling" => Timed(recipe, RunTables.Scaling(recipe)),
            "busy" => Timed(recipe, CostTables.Busy(recipe)),
            "faults" => Timed(recipe, RunTables.Faults(recipe)),
            "endurance" => Timed(recipe, RunTables.Endurance(recipe)),
            _ => ComparisonTable.Of(recipe),
        };

    private static string NotRun(Recipe recipe) => $"*The recipe `{recipe.Id}` ({recipe.Title}) has not been run yet.*";

    private static string Trial(JsonObject recipe) =>
        (bool)recipe["trial"]! ? "**A trial with tiny budgets: its numbers say nothing.**\n\n" : "";

    private static string Timed(JsonObject recipe, string table) =>
        $"{string.Join(", ", recipe["commands"]!.AsArray().Select(c => $"`{c}`").Distinct())}\n\n{table}";
}
