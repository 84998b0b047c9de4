using Amari.Tests.Workloads;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Metrics of the model itself: measured, judged, and without held-out examples.</summary>
public sealed class TrainerMetricTests
{
    private static readonly OptimizerChoice Sgd = new("sgd", new Dictionary<string, string> { ["lr"] = "0.1", ["momentum"] = "0" });

    private class Adjustable : AdjustableWorkload
    {
        public override int BatchSize => 4;
    }

    private sealed class WithTest : Adjustable
    {
        public override WorkloadData Load(string? directory)
        {
            using var data = base.Load(directory);
            return new(data.Train.Copy(), data.Train.Copy());
        }
    }

    private sealed class Unknown(double value) : Adjustable
    {
        public override Metric Metric => new("error", false, _ => value);
    }

    private sealed class ByLoss : Adjustable
    {
        public override Target Target => new(Target.HeldOutLoss, 0);
    }

    [Fact]
    public void Target_by_a_metric_of_the_model_needs_no_test_set()
    {
        using var trainer = new Trainer(new Adjustable(), null);
        var run = trainer.Train(Sgd, 0, Budget.OfEpochs(40));
        Assert.Equal(1, run.HeldOut[0].Metric); // |w - 1| at w = 0
        Assert.InRange(run.FinalMetric, 0, 0.5);
        Assert.Equal(run.HeldOut[^1].Metric, run.FinalMetric);
        Assert.Equal(run.HeldOut.First(p => p.Metric <= 0.5).Step, run.StepsToTarget);
        Assert.All(run.HeldOut, p => Assert.Equal(double.NaN, p.Loss));
        Assert.Null(run.BestHeldOut);
        Assert.Equal(RunStatus.Completed, run.Status);
    }

    [Fact]
    public void With_a_test_set_there_are_both()
    {
        using var trainer = new Trainer(new WithTest(), null);
        var run = trainer.Train(Sgd, 0, Budget.OfEpochs(2));
        Assert.Equal(1, run.HeldOut[0].Metric);
        Assert.All(run.HeldOut.Zip(run.Losses), p => Assert.Equal(p.Second.Loss, p.First.Loss, 1e-6));
    }

    [Theory, InlineData(double.NaN), InlineData(double.PositiveInfinity)]
    public void An_unknown_value_ends_no_run_and_reaches_no_target(double value)
    {
        using var trainer = new Trainer(new Unknown(value), null);
        var run = trainer.Train(Sgd, 0, Budget.OfEpochs(1));
        Assert.Equal((RunStatus.Completed, (long?)null), (run.Status, run.StepsToTarget));
        Assert.False(double.IsFinite(run.FinalMetric));
    }

    [Fact]
    public void Held_out_loss_still_needs_a_test_set() =>
        Assert.Contains(
            "no test set",
            Assert.Throws<ArgumentException>(() => new Trainer(new ByLoss(), null)).Message,
            StringComparison.Ordinal
        );
}
