using Amari.Ranks;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Which runs kept what they had reached.</summary>
public sealed class StabilityTests
{
    [Theory]
    [InlineData(false, 0.001, 2.3)] // nothing but the first evaluation
    [InlineData(false, 0.001, 2.3, 0.1, 0.05)]
    [InlineData(true, 0.001, 2.3, 1e-10, 853.0)] // the README's first command of version 0b816b5
    [InlineData(true, 0.001, 2.3, 2.4)] // above its start
    [InlineData(false, 0.001, 2.3, 2.3000001)] // rounding
    [InlineData(true, 0.001, 2.3, 0.02, 0.21)] // above ten times its best
    [InlineData(false, 0.001, 2.3, 0.02, 0.19)]
    [InlineData(false, 0.001, 2.3, 1e-10, 9e-4)] // the target still holds
    [InlineData(true, 0.001, 2.3, 0.0, 2e-3)] // ten times 0 says nothing: the target is the floor
    [InlineData(false, 0, 2.3, 0.0, 1e-6)] // without one, a millionth of the start
    [InlineData(true, 0, 2.3, 0.0, 1e-5)]
    [InlineData(false, -10, 5.0, -3.0, 0.9)] // negative: half of the fall of 8 is 4
    [InlineData(true, -10, 5.0, -3.0, 1.1)]
    [InlineData(false, -2, 5.0, -3.0, -2.5)]
    [InlineData(true, -10, -1.0, -3.0, -0.9)] // above its start
    [InlineData(false, 0.001, 2.3, double.NaN)] // diverged is another status
    [InlineData(true, 0.001, double.NaN, 0.1, 1.5)]
    public void A_run_that_lost_what_it_had_came_apart(bool expected, double target, params double[] losses) =>
        Assert.Equal(expected, Stability.CameApart([.. losses.Select((l, i) => new LossPoint(i, i, l))], losses[^1] <= target));

    [Fact]
    public void The_trainer_says_so_and_a_stopped_run_stays_interrupted()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var wild = new OptimizerChoice("sgd", new Dictionary<string, string> { ["lr"] = "3" });
        var run = trainer.Train(wild, 0, Budget.OfEpochs(5));
        Assert.Equal((RunStatus.CameApart, true), (run.Status, run.CameApart));
        Assert.Equal(run.Losses.Min(l => l.Loss), run.Best!.Value.Loss);
        Assert.True(run.FinalLoss > run.Losses[0].Loss);
        using var stop = new CancellationTokenSource();
        var stopped = trainer.Train(
            wild,
            0,
            Budget.OfEpochs(50),
            evaluated: (_, p) =>
            {
                if (p.Step >= 3 * trainer.StepsPerEpoch)
                    stop.Cancel();
            },
            stop: stop.Token
        );
        Assert.Equal((RunStatus.Interrupted, true), (stopped.Status, stopped.CameApart));
        var calm = trainer.Train(new("adamw", new Dictionary<string, string>()), 0, Budget.OfEpochs(3));
        Assert.Equal((RunStatus.Completed, false), (calm.Status, calm.CameApart));
        Assert.Equal((calm.FinalLoss, calm.FinalMetric, calm.Steps), (calm.Best!.Value.Loss, calm.Best.Value.Metric, calm.Best.Value.Step));
    }
}
