using System.Text.Json.Nodes;
using Amari.Benchmarks.Results;
using Amari.Benchmarks.Results.Tables;

namespace Amari.Tests.Results;

public sealed class ComparisonJsonTests
{
    private static JsonObject Recipe(double kfac = 0.5, bool isTrial = false) =>
        JsonNode.Parse(CompactJson.Text(Planted(kfac, isTrial)))!.AsObject();

    private static JsonObject Planted(double kfac, bool isTrial) =>
        new()
        {
            ["id"] = "defaults-autoencoder",
            ["trial"] = isTrial,
            ["jobs"] = 2,
            ["commands"] = new JsonArray("amari compare"),
            ["parts"] = new JsonArray(new JsonObject { ["comparison"] = ComparisonJson.Of(PlantedRunner.Comparison(kfac)) }),
        };

    private static JsonNode Optimizer(JsonObject recipe, string name) =>
        recipe["parts"]![0]!["comparison"]!["optimizers"]!.AsArray().Single(o => (string)o!["optimizer"]! == name)!;

    [Fact]
    public void The_race_is_to_the_best_first_order_end()
    {
        var recipe = Recipe();
        Assert.Equal("adamw", (string)recipe["parts"]![0]!["comparison"]!["firstOrder"]!);
        var race = Optimizer(recipe, "kfac")["runs"]![0]!["race"]!;
        Assert.Equal(2.5 * (2 - 1) / (2 - 0.9), (double)race[0]!, 1e-4); // between the evaluations at 0 and 2.5 s
        Assert.Equal(250 * (2 - 1) / (2 - 0.9), (double)race[1]!, 1e-2);
        Assert.Equal(0.227, (double)Optimizer(recipe, "kfac")["secondsTest"]!["mean"]!, 0.01);
        Assert.Null(Optimizer(recipe, "sgd")["runs"]![0]!["race"]);
    }

    [Fact]
    public void A_run_that_does_not_get_there_is_never_faster()
    {
        var tests = Optimizer(Recipe(), "sgd");
        Assert.True((double)tests["secondsTest"]!["mean"]! >= 1);
        Assert.True((double)tests["stepsTest"]!["mean"]! >= 1);
    }

    [Fact]
    public void The_end_is_tested_against_the_leader()
    {
        var recipe = Recipe();
        Assert.Equal("kfac", (string)recipe["parts"]![0]!["comparison"]!["leader"]!);
        Assert.Null(Optimizer(recipe, "kfac")["endTest"]);
        Assert.Equal(1.1, (double)Optimizer(recipe, "sgd")["endTest"]!["mean"]!, 0.01);
        Assert.True((double)Optimizer(recipe, "sgd")["endTest"]!["holm"]! < 0.05);
    }

    [Fact]
    public void The_table_has_ends_times_and_tests()
    {
        string text = ResultTables.Of(Recipe());
        Assert.Contains(
            "`kfac` ends with the lowest mean held-out loss. It is better than `adamw` and `sgd` beyond chance.",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains("| adamw | 1 | 1 |", text, StringComparison.Ordinal);
        Assert.Contains("10 (9..12)", text, StringComparison.Ordinal);
        Assert.Contains("| never |", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.5, "| a third or less | met |")]
    [InlineData(1.5, "| a third or less | **not met**: 3 of 3 seeds do not get there |")]
    public void The_goal_is_answered(double end, string answer) =>
        Assert.Contains(answer, GoalTable.Of(id => id == "defaults-autoencoder" ? Recipe(end) : null), StringComparison.Ordinal);

    [Fact]
    public void Trouble_of_kfac_misses_the_goal()
    {
        var recipe = Recipe();
        var kfac = Optimizer(recipe, "kfac").AsObject();
        (kfac["secondsTest"], kfac["stepsTest"]) = (null, null);
        recipe["parts"]![0]!["comparison"]!["busyRuns"] = 3;
        Assert.Contains(
            "**not met**: not compared, because of trouble",
            GoalTable.Of(id => id == "defaults-autoencoder" ? recipe : null),
            StringComparison.Ordinal
        );
    }
}
