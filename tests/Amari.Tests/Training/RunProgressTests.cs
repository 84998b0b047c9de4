using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>The results so far that a report carries.</summary>
public sealed class RunProgressTests
{
    private static readonly Dictionary<string, string> None = [];

    /// <summary>They are worked out by another thread when all runs are over and their optimizers gone.</summary>
    [Fact]
    public async Task Results_taken_in_a_report_stay_as_they_were()
    {
        using var trainer = new Trainer(new DigitsSoftmax(), null);
        List<(RunProgress Report, Lazy<BenchmarkResult> Results)> taken = [];
        var all = OptimizerBenchmark.Compare(
            trainer,
            [new("sgd", None), new("kfac", None)],
            [0, 1],
            Budget.OfEpochs(2),
            0,
            new Collect<RunProgress>(report => taken.Add((report, report.SoFar!()))),
            CancellationToken.None
        );
        await Task.Run(
            () =>
            {
                foreach (var (report, results) in taken)
                    AssertAsItWas(report, results.Value.Runs, all.Runs);
            },
            TestContext.Current.CancellationToken
        );
        Assert.Equal([1, 2, 3, 4], taken.Select(t => t.Results.Value.Runs.Count).Distinct());
        Assert.Equal(["sgd", "sgd", "kfac", "kfac"], taken[^1].Results.Value.Runs.Select(r => r.Optimizer));
    }

    private static void AssertAsItWas(RunProgress report, IReadOnlyList<TrainingRun> runs, IReadOnlyList<TrainingRun> all)
    {
        var run = runs.Single(r => (r.Optimizer, r.Seed) == (report.Optimizer, report.Seed));
        var end = all.Single(r => (r.Optimizer, r.Seed) == (report.Optimizer, report.Seed));
        Assert.Equal((report.Step, report.Loss, report.Status is null), (run.Steps, run.FinalLoss, run.IsRunning));
        Assert.Equal(end.Losses.Take(run.Losses.Count), run.Losses);
        Assert.Equal(end.Parameters, run.Parameters);
        Assert.Equal(end.Coverage, run.Coverage);
        Assert.All(runs.Except([run]), other => Assert.False(other.IsRunning));
    }
}
