using System.Text.Json.Nodes;

namespace Amari.Benchmarks.Results;

/// <summary>The JSON of a recipe, from the results of its parts.</summary>
internal static class RecipeJson
{
    private const int Schema = 1;

    /// <summary>Reads the results of all parts.</summary>
    /// <param name="recipe">The recipe; all parts are done.</param>
    /// <param name="space">Where they are.</param>
    /// <param name="runner">Says which parts cannot run here.</param>
    /// <param name="jobs">Parts that ran at the same time.</param>
    /// <param name="isTrial">Whether sizes were scaled, so that the numbers say nothing.</param>
    public static JsonObject Of(Recipe recipe, Workspace space, IPartRunner runner, int jobs, bool isTrial) =>
        new()
        {
            ["schema"] = Schema,
            ["id"] = recipe.Id,
            ["title"] = recipe.Title,
            ["trial"] = isTrial,
            ["jobs"] = recipe.IsAlone ? 1 : jobs,
            ["commands"] = new JsonArray([.. recipe.Commands.Select(c => JsonValue.Create(c))]),
            ["parts"] = new JsonArray([.. recipe.Parts.Select(part => Of(recipe, part, space, runner))]),
        };

    private static JsonObject Of(Recipe recipe, Part part, Workspace space, IPartRunner runner)
    {
        var json = new JsonObject { ["name"] = part.Name };
        if (runner.Missing(part.Kind) is { } why)
            json["missing"] = why;
        else if (part.Kind == PartKind.Comparison)
            json["comparison"] = ComparisonJson.Of(Amari.Reporting.LoadedResult.Of(space.FolderOf(recipe, part))[0].Comparison);
        else
        {
            var document = JsonNode.Parse(File.ReadAllText(space.DocumentOf(recipe, part)))!;
            json["provenance"] = JsonNode.Parse(File.ReadAllText(space.StartOf(recipe, part)));
            json["document"] = CompactJson.Rounded(part.Arguments[0] == "faults" ? Counted(document) : document);
        }
        return json;
    }

    /// <summary>The faults of each kind as their number, and the losses in full.</summary>
    private static JsonObject Counted(JsonNode faults) =>
        new()
        {
            ["seed"] = faults["seed"]?.DeepClone(),
            ["repeats"] = faults["repeats"]?.DeepClone(),
            ["kinds"] = new JsonArray([
                .. faults["kinds"]!
                    .AsArray()
                    .Select(kind => new JsonObject
                    {
                        ["name"] = kind!["name"]?.DeepClone(),
                        ["promise"] = kind["promise"]?.DeepClone(),
                        ["missing"] = kind["missing"]?.DeepClone(),
                        ["faults"] = kind["faults"]!.AsArray().Count,
                        ["losses"] = new JsonArray([
                            .. kind["faults"]!.AsArray().Where(f => f!["loss"] is not null).Select(f => f!.DeepClone()),
                        ]),
                    }),
            ]),
        };
}
