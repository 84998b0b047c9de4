using System.Text.Json.Nodes;
using Amari.Benchmarks.Results;
using Amari.Benchmarks.Results.Tables;

namespace Amari.Tests.Results;

public sealed class WinnerTableTests
{
    /// <summary>A comparison that a leads, with the p of the others.</summary>
    private static JsonObject Led(params double[] p) =>
        Comparison(
            "a",
            [
                new JsonObject { ["optimizer"] = "a" },
                .. p.Select(
                    (holm, i) =>
                        new JsonObject
                        {
                            ["optimizer"] = $"{(char)('b' + i)}",
                            ["endTest"] = new JsonObject { ["mean"] = 1.0, ["holm"] = holm },
                        }
                ),
            ]
        );

    private static JsonObject Comparison(string? leader, JsonObject[] optimizers) =>
        new()
        {
            ["parts"] = new JsonArray(
                new JsonObject
                {
                    ["comparison"] = new JsonObject { ["leader"] = leader, ["optimizers"] = new JsonArray([.. optimizers]) },
                }
            ),
        };

    private static string Row(params (string Id, JsonObject? Json)[] recipes) =>
        WinnerTable.Of([.. recipes.Select(r => (new Recipe(r.Id, "", []), r.Json))]).Split('\n')[2];

    [Fact]
    public void Ties_are_named_if_they_are_few() =>
        Assert.Equal(
            "| x | `a` | `a`; `c` and `d` cannot be told apart from it |",
            Row(("tuned-x", Led(0.01, 0.2, 0.3)), ("defaults-x", Led(0.01, 0.04)), ("kfac", null))
        );

    [Fact]
    public void Many_ties_are_counted() =>
        Assert.Equal(
            "| x | `a`; none of the 4 others can be told apart from it | `a`; 4 of the 5 others cannot be told apart from it |",
            Row(("tuned-x", Led(0.01, 0.1, 0.2, 0.3, 0.4)), ("defaults-x", Led(0.1, 0.2, 0.3, 0.4)))
        );

    [Fact]
    public void One_that_is_worse_with_every_seed_is_no_tie()
    {
        var comparison = Led(0.2, 0.3);
        double[][] losses =
        [
            [1, 2, 3],
            [1.1, 2.5, 3.1],
            [1.1, 1.9, 3.5],
        ];
        foreach (var (i, of) in comparison["parts"]![0]!["comparison"]!["optimizers"]!.AsArray().Index())
            of!["runs"] = new JsonArray([.. losses[i].Select((loss, seed) => new JsonObject { ["seed"] = seed, ["heldOut"] = loss })]);
        Assert.Equal(
            "| x | - | `a`; `c` cannot be told apart from it; `b` is worse with every seed, but not beyond chance |",
            Row(("tuned-x", comparison))
        );
    }

    [Fact]
    public void Missing_results_and_trouble_are_said() =>
        Assert.Equal(
            "| x | not run yet | none: every optimizer had trouble |",
            Row(("tuned-x", Comparison(null, [])), ("defaults-x", null))
        );
}
