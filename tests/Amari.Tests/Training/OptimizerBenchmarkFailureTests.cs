using Amari.Ranks;
using Amari.Serialization;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Runs and trials that throw: the others go on.</summary>
public sealed class OptimizerBenchmarkFailureTests
{
    private static readonly Dictionary<string, string> None = [];

    private static OptimizerChoice Scheduled(string name) => new(name, None) { Schedule = Schedule.Default };

    [Fact]
    public void A_run_that_throws_is_one_that_failed_with_what_it_had()
    {
        // two checks, two warm-ups: the first run is the fifth
        using var trainer = new Trainer(new Fragile(failing: m => m.Model == 5 && m.Batch > 6), null);
        var finished = new List<int>();
        var comparison = OptimizerBenchmark.Compare(
            trainer,
            [new("sgd", None), new("adamw", None)],
            [0, 1],
            Budget.OfEpochs(9),
            0,
            null,
            CancellationToken.None,
            finished: new Collect<BenchmarkResult>(c => finished.Add(c.Runs.Count))
        );
        Assert.Equal([1, 2, 3, 4], finished);
        Assert.Equal(
            [
                ("sgd", 0, RunStatus.Failed),
                ("sgd", 1, RunStatus.Completed),
                ("adamw", 0, RunStatus.Completed),
                ("adamw", 1, RunStatus.Completed),
            ],
            comparison.Runs.Select(r => (r.Optimizer, r.Seed, r.Status))
        );
        var failed = comparison.Runs[0];
        Assert.Equal("the glass is broken", Assert.IsType<InvalidOperationException>(failed.Failure).Message);
        Assert.Equal((6, 3, 6), (failed.Steps, failed.Losses.Count, (int)failed.Losses[^1].Step));
        using var alone = new Trainer(new Fragile(_ => false), null);
        var expected = alone.Train(Scheduled("sgd"), 0, Budget.OfEpochs(9));
        Assert.Equal(expected.Losses.Take(3).Select(l => l.Loss), failed.Losses.Select(l => l.Loss));
        Assert.Equal(2, failed.Coverage.Count);
        foreach (var run in comparison.Runs.Skip(1)) // not changed by the failure before them
            Assert.Equal(alone.Train(Scheduled(run.Optimizer), run.Seed, Budget.OfEpochs(9)).FinalLoss, run.FinalLoss);
    }

    [Fact]
    public void One_that_cannot_begin_and_a_warm_up_that_throws_stop_nothing()
    {
        using var unborn = new Trainer(new Fragile(m => m.Batch == 0 && m.Model == 5), null); // 2 checks, 2 warm-ups, then the runs
        var comparison = OptimizerBenchmark.Compare(
            unborn,
            [new("sgd", None), new("adamw", None)],
            [0],
            Budget.OfEpochs(1),
            0,
            null,
            CancellationToken.None
        );
        Assert.Equal([RunStatus.Failed, RunStatus.Completed], comparison.Runs.Select(r => r.Status));
        Assert.Equal((0, 0L), (comparison.Runs[0].Losses.Count, comparison.Runs[0].Steps));
        Assert.True(double.IsNaN(comparison.Runs[0].FinalLoss));
        using var cold = new Trainer(new Fragile(m => m.Model == 3 && m.Batch > 0), null);
        comparison = OptimizerBenchmark.Compare(
            cold,
            [new("sgd", None), new("adamw", None)],
            [0],
            Budget.OfEpochs(1),
            0,
            null,
            CancellationToken.None
        );
        Assert.All(comparison.Runs, r => Assert.Equal(RunStatus.Completed, r.Status));
    }

    [Fact]
    public void A_trial_that_throws_is_one_that_failed_and_is_not_taken()
    {
        using var trainer = new Trainer(new Fragile(m => m.Model == 3 && m.Batch > 0), null); // a check, a warm-up, then the trials
        var comparison = OptimizerBenchmark.Compare(trainer, [new("sgd", None)], [0], Budget.OfEpochs(4), 4, null, CancellationToken.None);
        Assert.Equal(RunStatus.Failed, comparison.Trials[0].Status);
        Assert.NotNull(comparison.Trials[0].Failure);
        Assert.True(double.IsNaN(comparison.Trials[0].Loss));
        Assert.DoesNotContain(comparison.Trials.Skip(1), t => t.Status == RunStatus.Failed);
        Assert.NotEqual(comparison.Trials[0].Options, comparison.Runs.Single().Options);
    }

    [Fact]
    public void The_trainer_itself_throws_and_its_best_weights_are_saved()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new Fragile(m => m.Batch > 3), null);
        var checkpoint = new CheckpointOptions(folder.Path, false, TimeSpan.FromHours(1));
        Assert.Throws<InvalidOperationException>(() => trainer.Train(new("sgd", None), 0, Budget.OfEpochs(6)));
        var run = trainer.Attempt(new(new("sgd", None), 0, Budget.OfEpochs(6), Checkpoint: checkpoint), CancellationToken.None);
        Assert.Equal((RunStatus.Failed, 3L), (run.Status, run.Best!.Value.Step));
        Assert.Equal(["best.safetensors"], folder.Names());
    }

    /// <summary>One batch an epoch; throws where it is asked to: at a batch (from 1) of a model (from 1), or while the model is made
    /// (batch 0).</summary>
    internal sealed class Fragile(Predicate<(int Model, int Batch)> failing) : SmallWorkload("fragile", 8)
    {
        private int _models;
        public override Likelihood Likelihood { get; } = new Gaussian();
        public override Metric Metric { get; } = new("error", false, (f, y) => (f - y).square().sum());

        public override WorkloadData Load(string? directory) => new(new(ones(8, 1), zeros(8, 1)), null);

        public override nn.Module<Tensor, Tensor> CreateModel()
        {
            int model = ++_models,
                batch = 0;
            Throw();
            var layer = nn.Linear(1, 1);
            layer.register_forward_hook(
                (_, _, f) =>
                {
                    if (!is_grad_enabled())
                        return f;
                    batch++;
                    Throw();
                    return f;
                }
            );
            return layer;

            void Throw()
            {
                if (failing((model, batch)))
                    throw new InvalidOperationException("the glass is broken");
            }
        }
    }
}
