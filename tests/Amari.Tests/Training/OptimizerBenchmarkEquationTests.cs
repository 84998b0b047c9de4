using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Comparisons on an equation, which is judged by its error against a solution.</summary>
public sealed class OptimizerBenchmarkEquationTests
{
    [Fact]
    public void Tuning_chooses_by_other_points_and_not_by_the_solution()
    {
        var workload = new PoissonEquation().With(new Dictionary<string, string> { ["points"] = "60", ["hidden"] = "8" });
        using var trainer = new Trainer(workload, null);
        var result = OptimizerBenchmark.Compare(
            trainer,
            [new("adamw", new Dictionary<string, string>())],
            [0],
            Budget.OfEpochs(20),
            tuneTrials: 6,
            null,
            default
        );
        var run = Assert.Single(result.Runs);
        var last = result.Trials.Where(t => t.Budget.Epochs == 20).ToList();
        Assert.Equal(2, last.Count);
        Assert.Equal(last.MinBy(t => t.Loss)!.Options["LearningRate"], run.Options["LearningRate"]);
        var first = result.Trials.Where(t => t.Budget.Epochs == 5).OrderBy(t => t.Loss).Take(2).Select(t => t.Options["LearningRate"]);
        Assert.Equal(first, last.Select(t => t.Options["LearningRate"]));
        Assert.All(result.Trials, t => Assert.True(double.IsFinite(t.Metric)));
        Assert.NotNull(run.Solution);
    }
}
