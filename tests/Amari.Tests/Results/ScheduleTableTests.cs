using System.Text.Json.Nodes;
using Amari.Benchmarks.Results.Tables;

namespace Amari.Tests.Results;

public sealed class ScheduleTableTests
{
    private static JsonObject Part(string schedule, params (string Name, double[] Losses)[] optimizers) =>
        new()
        {
            ["comparison"] = new JsonObject
            {
                ["schedule"] = schedule,
                ["optimizers"] = new JsonArray([
                    .. optimizers.Select(o => new JsonObject
                    {
                        ["optimizer"] = o.Name,
                        ["runs"] = new JsonArray([
                            .. o.Losses.Select((loss, seed) => new JsonObject { ["seed"] = seed, ["heldOut"] = loss }),
                        ]),
                    }),
                ]),
            },
        };

    private static string Of(params JsonObject[] parts) =>
        ScheduleTable.Of(new() { ["commands"] = new JsonArray("amari compare x"), ["parts"] = new JsonArray([.. parts]) });

    [Fact]
    public void A_winner_that_loses_under_decay_beyond_chance_is_named()
    {
        string text = Of(
            Part("constant", ("a", [1, 1.1, 1.2]), ("b", [2, 2.1, 2.3]), ("c", [3, 3, 3])),
            Part("linear", ("a", [1, 1.1, 1.2]), ("b", [0.5, 0.6, 0.8]), ("c", [3, 3, 3]))
        );
        Assert.Contains("| constant | 1.1 (1) | 2.1 (2) | 3 (3) |", text, StringComparison.Ordinal);
        Assert.Contains("lowest loss first: a < b < c (constant); b < a < c (linear). ", text, StringComparison.Ordinal);
        Assert.Matches(
            @"`a` and `b` change places beyond chance: the mean loss of `a` is lower by 1\.03 with constant \(p [0-9.e-]+\); "
                + @"it is higher by 0\.467 with linear \(p 0\.0051\)\.$",
            text
        );
    }

    [Fact]
    public void Places_that_change_by_chance_are_only_listed()
    {
        string text = Of(Part("constant", ("a", [1, 2]), ("b", [2, 2.1])), Part("linear", ("a", [1, 2]), ("b", [0.5, 1.9])));
        Assert.EndsWith("a < b (constant); b < a (linear).", text, StringComparison.Ordinal);
    }
}
