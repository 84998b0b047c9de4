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
}
