using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

public sealed class PlannerTests
{
    [Fact]
    public void Each_kind_of_step_counts_as_often_as_it_occurs()
    {
        Assert.Equal(2, Planner.Mean([2], [], []), 12);
        Assert.Equal(0.9 * 1 + 0.1 * 5, Planner.Mean([1, 5], [2], [10]), 12);
        // Of four steps two are plain, one renews the factors, one the inverses too.
        Assert.Equal(0.9 * 1.5 + (0.1 - 0.025) * 3 + 0.025 * 7, Planner.Mean([1, 2, 3, 7], [2, 4], [10, 40]), 12);
    }

    [Theory, InlineData("adamw", false), InlineData("lion-8bit", false), InlineData("kfac", true), InlineData("soap", false), InlineData("routed-kfac", true)]
    public void The_bytes_are_those_of_a_run(string name, bool lowRank)
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-mlp", null), null);
        var choice = new OptimizerChoice(name, new Dictionary<string, string>());
        var plan = Planner.Predict(trainer, choice, 0.01);
        var run = trainer.Train(choice, 0, Budget.OfEpochs(3));
        Assert.Null(plan.Refused);
        Assert.InRange((double)plan.StateBytes / run.StateBytes, lowRank ? 0.97 : 1, lowRank ? 1.03 : 1);
        Assert.Equal(17_226, plan.Parameters);
        Assert.True(plan.Milliseconds > 0 && plan.Plain > 0);
    }

    [Fact]
    public void What_cannot_train_the_workload_says_why()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("autoencoder", null), null);
        var plan = Planner.Predict(trainer, new("newton", new Dictionary<string, string>()), 0.01);
        Assert.Contains("MaxDenseBytes", plan.Refused);
        Assert.Throws<ArgumentOutOfRangeException>(() => Planner.Predict(trainer, new("adamw", new Dictionary<string, string>()), 0));
    }
}
