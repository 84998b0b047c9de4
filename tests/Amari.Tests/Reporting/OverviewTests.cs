using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;

namespace Amari.Tests.Reporting;

/// <summary>The verdicts on several workloads in short.</summary>
public sealed class OverviewTests
{
    private static readonly BenchmarkResult Won = On("hills", Times("kfac", [1, 1.1, 1.05]), Times("adamw", [3, 3.3, 3.2])),
        Level = On("noise", Times("kfac", [2, 2.4, 2.1]), Times("adamw", [2.1, 2.2, 2.2]));

    private static BenchmarkResult On(string workload, params IEnumerable<TrainingRun>[] runs) =>
        new(workload, "accuracy", new("loss", 0.1), Budget.OfSeconds(10), [.. runs.SelectMany(r => r)], []);

    [Fact]
    public void It_says_who_wins_where_and_what_is_cheapest()
    {
        string text = Amari.Reporting.Overview.Of([Won, Level])!;
        Assert.StartsWith("In short: kfac wins on hills. On noise, kfac and adamw cannot be told apart; ", text, StringComparison.Ordinal);
        Assert.Contains(" has the cheapest steps (", text, StringComparison.Ordinal);
        Assert.EndsWith("depends on the workload: compare them on your own with --assembly.", text, StringComparison.Ordinal);
    }

    [Fact]
    public void One_winner_everywhere_depends_on_nothing()
    {
        var other = Won with { Workload = "valleys" };
        Assert.Equal("In short: kfac wins on hills and valleys.", Amari.Reporting.Overview.Of([Won, other]));
    }

    [Fact]
    public void Without_a_test_or_a_second_workload_there_is_none()
    {
        var single = On("hills", Times("kfac", [1]), Times("adamw", [3]));
        Assert.Null(Amari.Reporting.Overview.Of([Won]));
        Assert.Null(Amari.Reporting.Overview.Of([single, single with { Workload = "valleys" }]));
        Assert.EndsWith(
            "There is no verdict on valleys.",
            Amari.Reporting.Overview.Of([Won, single with { Workload = "valleys" }]),
            StringComparison.Ordinal
        );
    }

    private static BenchmarkResult Overfit(params TrainingRun[][] runs) => Compared("held-out loss", 0.4, runs) with { Workload = "noise" };

    [Fact]
    public void The_first_that_overfits_does_not_simply_win()
    {
        var first = Times("adamw", [1, 1.1, 1.05]).HeldOut([0.3, 0.3, 0.3], [0.58, 0.59, 0.585]);
        Assert.StartsWith(
            "In short: kfac wins on hills. On noise, adamw reaches held-out loss 0.4 first, but it overfits and ends at 0.585 "
                + "unless stopped early (kfac ends at 0.31). Which",
            Amari.Reporting.Overview.Of([
                Won,
                Overfit(first, Times("kfac", [3, 3.3, 3.2]).HeldOut([0.31, 0.31, 0.31], [0.31, 0.32, 0.31])),
            ]),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "but it overfits and ends at 0.585 unless stopped early. Which", // the other does, too
            Amari.Reporting.Overview.Of([
                Won,
                Overfit(first, Times("kfac", [3, 3.3, 3.2]).HeldOut([0.31, 0.31, 0.31], [0.58, 0.59, 0.586])),
            ]),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void The_best_at_the_end_is_named_beside_the_first()
    {
        var slow = Times("kfac", [3, 3.3, 3.2]).HeldOut([0.2, 0.2, 0.2], [0.2, 0.21, 0.2]);
        string Of(params TrainingRun[][] runs) => Amari.Reporting.Overview.Of([Won, Overfit(runs)])!;
        Assert.Contains(
            "On noise, adamw reaches held-out loss 0.4 first, but kfac ends best, at held-out loss 0.2 (adamw 0.35). ",
            Of(Times("adamw", [1, 1.1, 1.05]).HeldOut([0.35, 0.35, 0.35], [0.35, 0.36, 0.35]), slow),
            StringComparison.Ordinal
        );
        Assert.Matches(
            "adamw and sgd cannot be told apart; .*, but sgd overfits and ends at 0.6 unless stopped early \\(kfac ends at 0.2\\)\\. ",
            Of(
                Times("adamw", [1, 1.2, 1.1]).HeldOut([0.35, 0.35, 0.35], [0.35, 0.36, 0.35]),
                Times("sgd", [1.1, 1, 1.3]).HeldOut([0.35, 0.35, 0.35], [0.6, 0.61, 0.6]),
                slow
            )
        );
    }
}
