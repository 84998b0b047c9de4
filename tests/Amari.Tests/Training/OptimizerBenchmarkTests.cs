using Amari.Optimizers;
using Amari.Ranks;
using Amari.Training;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Tests.Training;

/// <summary>Comparisons: as many trials for each, the best at the full budget taken, a warm-up that leaves no trace.</summary>
public sealed class OptimizerBenchmarkTests
{
    private static readonly Dictionary<string, string> None = [];

    [Fact]
    public void Tuning_gives_every_optimizer_the_same_trials_and_takes_the_best()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var comparison = OptimizerBenchmark.Compare(
            trainer,
            [new("sgd", None), new("lion", None)],
            [0, 1],
            Budget.OfEpochs(4),
            4,
            null,
            CancellationToken.None
        );
        foreach (string name in (string[])["sgd", "lion"])
        {
            var trials = comparison.Trials.Where(t => t.Optimizer == name).ToList();
            Assert.Equal(6, trials.Count); // 4 short ones and the better 2 at full length
            var best = trials.Where(t => t.Budget.Epochs == 4).MinBy(t => t.Loss)!;
            Assert.All(comparison.Runs.Where(r => r.Optimizer == name), r => Assert.Equal(best.Options, r.Options));
        }
        Assert.Equal(["sgd", "sgd", "lion", "lion"], comparison.Runs.Select(r => r.Optimizer));
        Assert.Equal([0, 1, 0, 1], comparison.Runs.Select(r => r.Seed));
        Assert.All(comparison.Runs, r => Assert.Equal(4 * trainer.StepsPerEpoch, r.Steps));
    }

    [Fact]
    public void No_measured_seed_is_that_of_tuning()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var seeds = new HashSet<(int Seed, bool IsTrial)>();
        OptimizerBenchmark.Compare(
            trainer,
            [new("sgd", None)],
            [7919, 7918, 7920],
            Budget.OfEpochs(1),
            1,
            new Collect<RunProgress>(p => seeds.Add((p.Seed, p.Stage.Length > 0))),
            CancellationToken.None
        );
        Assert.Equal([7918, 7919, 7920], seeds.Where(s => !s.IsTrial).Select(s => s.Seed).Order());
        Assert.Equal([7921], seeds.Where(s => s.IsTrial).Select(s => s.Seed));
    }

    /// <summary>φ is the golden ratio in one dimension and the plastic number in two; eight points in six dimensions fall into both halves
    /// of each, and but for the last into all quarters.</summary>
    [Fact]
    public void Trials_are_spread_evenly()
    {
        Assert.Equal((0.5 + 3 / 1.618033988749895) % 1, OptimizerBenchmark.Point(3, 1).Single(), 1e-12);
        Assert.Equal(
            [(0.5 + 5 / 1.324717957244746) % 1, (0.5 + 5 / 1.324717957244746 / 1.324717957244746) % 1],
            OptimizerBenchmark.Point(5, 2).Select(u => Math.Round(u, 12)),
            (a, b) => Math.Abs(a - b) < 1e-11
        );
        for (int k = 0; k < 6; k++)
        {
            double[] u = [.. Enumerable.Range(1, 8).Select(i => OptimizerBenchmark.Point(i, 6)[k])];
            Assert.All(u, x => Assert.InRange(x, 0, 1));
            Assert.Equal(2, u.Select(x => (int)(2 * x)).Distinct().Count());
            if (k < 5)
                Assert.Equal(4, u.Select(x => (int)(4 * x)).Distinct().Count());
        }
    }

    /// <summary>What is not varied is the optimizer's own default and its preset.</summary>
    [Fact]
    public void Trials_start_at_the_defaults_and_keep_given_settings()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var comparison = OptimizerBenchmark.Compare(
            trainer,
            [new("ekfac", new Dictionary<string, string> { ["lr"] = "0.07" })],
            [0],
            Budget.OfEpochs(1),
            7,
            null,
            CancellationToken.None
        );
        var tried = comparison.Trials.Take(7).Select(t => t.Options).ToList();
        var defaults = Settings.Describe(
            new Kfac.Options
            {
                Damping = 1e-3,
                LearningRate = 0.07,
                Curvature = new() { Inverse = new InverseOptions.EigenvalueCorrection() },
            }
        );
        Assert.Equal(defaults, tried[0]);
        string[] space = [.. OptimizerCatalog.Find("ekfac").SearchSpace.Select(d => d.Option).Except(["LearningRate"])];
        foreach (var options in tried.Skip(1))
            Assert.Subset(space.ToHashSet(), Varied(options).ToHashSet());
        Assert.All(space, name => Assert.True(tried.Select(o => o.GetValueOrDefault(name)).Distinct().Count() > 1, name));
        Assert.Contains(comparison.Runs.Single().Options, tried);

        // the parts of what was chosen come with it
        IEnumerable<string> Varied(IReadOnlyDictionary<string, string> options) =>
            options.Where(o => defaults.TryGetValue(o.Key, out string? value) && value != o.Value).Select(o => o.Key);
    }

    /// <summary>At a quarter of the budget a larger rate gives a smaller loss, at all of it a larger one; and no loss at the full budget is
    /// below one at the quarter.</summary>
    [Fact]
    public void The_winner_of_tuning_is_the_best_at_the_full_budget()
    {
        using var trainer = new Trainer(new Misleading(), null);
        var comparison = OptimizerBenchmark.Compare(trainer, [new("adam", None)], [0], Budget.OfEpochs(4), 4, null, CancellationToken.None);
        var full = comparison.Trials.Where(t => t.Budget.Epochs == 4).OrderBy(t => t.Loss).ToList();
        Assert.Equal(2, full.Count);
        Assert.True(full[0].Loss < full[1].Loss);
        Assert.All(comparison.Trials.Where(t => t.Budget.Epochs == 1), t => Assert.True(t.Loss < full[0].Loss));
        Assert.Equal(comparison.Trials.MinBy(t => t.Loss)!.Options, full[1].Options); // the trap
        Assert.Equal(full[0].Options, comparison.Runs.Single().Options);
    }

    [Fact]
    public void Each_optimizer_warms_up_and_no_run_is_changed_by_it()
    {
        string[] names = ["sgd", "adamw-8bit", "kfac", "soap"];
        var counted = new Counted();
        using var trainer = new Trainer(counted, null);
        var comparison = OptimizerBenchmark.Compare(
            trainer,
            [.. names.Select(n => new OptimizerChoice(n, None))],
            [1],
            Budget.OfEpochs(2),
            0,
            null,
            CancellationToken.None
        );
        long warmUp = counted.Batches - comparison.Runs.Sum(r => r.Steps);
        Assert.True(warmUp >= names.Length);
        foreach (var run in comparison.Runs)
        {
            using var alone = new Trainer(new Counted(), null);
            var expected = alone.Train(new(run.Optimizer, None) { Schedule = Schedule.Default }, 1, Budget.OfEpochs(2));
            Assert.Equal(expected.Losses.Select(l => (l.Step, l.Loss)), run.Losses.Select(l => (l.Step, l.Loss)));
            Assert.Equal(expected.Steps, run.Steps);
        }
    }

    [Fact]
    public void Warming_up_waits_for_compilation_no_longer_than_asked()
    {
        var counted = new Counted();
        using var trainer = new Trainer(counted, null);
        trainer.WarmUp(new("sgd", None), 0);
        Assert.InRange(counted.Batches, 1, 3); // on a machine that is busy, a second is over before three steps are
        long few = counted.Batches;
        trainer.WarmUp(new("sgd", None), 0.2);
        Assert.True(counted.Batches > few + 3);
    }

    /// <summary>Digits with dropout; counts batches that were trained on.</summary>
    private sealed class Counted() : SmallWorkload("small", 200)
    {
        public int Batches { get; private set; }

        public override nn.Module<Tensor, Tensor> CreateModel()
        {
            var flatten = nn.Flatten();
            flatten.register_forward_hook(
                (_, _, f) =>
                {
                    if (is_grad_enabled())
                        Batches++;
                    return f;
                }
            );
            return nn.Sequential(("flatten", flatten), ("drop", nn.Dropout(0.2)), ("fc", nn.Linear(64, 10)));
        }
    }

    /// <summary>One batch an epoch, one weight on its way to 1000; what is evaluated shows its speed.</summary>
    private sealed class Misleading() : SmallWorkload("small", 8)
    {
        public override Likelihood Likelihood { get; } = new Gaussian();
        public override Metric Metric { get; } = new("none", false, (f, _) => f.sum());

        public override WorkloadData Load(string? directory) => new(new(zeros(8, 1), zeros(8, 1)), null);

        public override nn.Module<Tensor, Tensor> CreateModel() => new Model();

        private sealed class Model : nn.Module<Tensor, Tensor>
        {
            private readonly Parameter _weight = new(zeros(1));
            private int _steps;

            public Model()
                : base("misleading") => RegisterComponents();

            public override Tensor forward(Tensor x)
            {
                if (training)
                {
                    _steps++;
                    return x + (_weight - 1000);
                }
                double speed = _steps == 0 ? 0 : _weight.ToDouble() / _steps;
                return x + (_steps <= 1 ? 1 - 10 * speed : 10 + 10 * speed);
            }
        }
    }
}
