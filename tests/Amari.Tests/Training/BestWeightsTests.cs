using Amari.Cli.Commands;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Training;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Tests.Training;

/// <summary>The best weights next to the checkpoints, and weights that are not finite.</summary>
public sealed class BestWeightsTests
{
    private const string Best = "best.safetensors";
    private static readonly TimeSpan Never = TimeSpan.FromHours(1);
    private static readonly Dictionary<string, string> None = [];

    /// <summary>The loss falls, rises, and falls again.</summary>
    private static readonly OptimizerChoice Wild = new("sgd", new Dictionary<string, string> { ["lr"] = "0.9", ["momentum"] = "0.97" });

    private static Dictionary<string, byte[]> Weights(Checkpoint checkpoint) =>
        checkpoint
            .Tensors.Where(t => t.Key.StartsWith("model.", StringComparison.Ordinal))
            .ToDictionary(t => t.Key, t => t.Value.bytes.ToArray());

    private static Dictionary<string, byte[]> Weights(nn.Module model) =>
        model.state_dict().ToDictionary(t => "model." + t.Key, t => t.Value.bytes.ToArray());

    private static void Same(Dictionary<string, byte[]> expected, Dictionary<string, byte[]> actual)
    {
        Assert.Equal(expected.Keys.Order(), actual.Keys.Order());
        Assert.All(expected, t => Assert.Equal(t.Value, actual[t.Key]));
    }

    [Theory, InlineData("sgd"), InlineData("schedulefree-sgd")]
    public void The_weights_of_the_best_evaluation_are_kept(string optimizer)
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new Normalised(), null);
        var shown = new List<(LossPoint Point, Dictionary<string, byte[]> Weights)>();
        var choice = optimizer == "sgd" ? Wild : new(optimizer, new Dictionary<string, string> { ["lr"] = "1000" });
        var run = trainer.Train(
            choice,
            3,
            Budget.OfEpochs(6),
            checkpoint: new(folder.Path, false, Never),
            evaluated: (m, p) => shown.Add((p, Weights(m)))
        );
        var best = shown.MinBy(s => s.Point.Loss);
        Assert.Equal((best.Point.Step, best.Point.Loss), (run.Best!.Value.Step, run.Best.Value.Loss));
        Assert.InRange(best.Point.Step, 0, run.Steps - 1); // else the test shows nothing
        using var saved = Checkpoint.Load(folder.File(Best));
        Assert.Equal(best.Point.Step, saved.Step);
        Same(best.Weights, Weights(saved));
        using var last = Checkpoint.Open(folder.Path); // the folder's newest checkpoint is the last, not the best
        Assert.Equal(run.Steps, last.Step);
        using var model = trainer.Workload.CreateModel();
        saved.CopyTo(model);
        Same(best.Weights, Weights(model));
    }

    [Fact]
    public void Rotation_leaves_it_and_a_resumed_run_knows_its_best()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new Whole(), null);
        string whole = folder.File("whole"),
            parts = folder.File("parts");
        var straight = trainer.Train(Wild, 3, Budget.OfEpochs(27), checkpoint: new(whole, false, TimeSpan.Zero));
        long steps = straight.Best!.Value.Step;
        Assert.InRange(steps, trainer.StepsPerEvaluation, straight.Steps - 2 * trainer.StepsPerEvaluation);
        // before its best, after it, to the end
        foreach (long end in (long[])[steps / trainer.StepsPerEpoch - 3, steps / trainer.StepsPerEpoch + 3, 27])
            trainer.Train(Wild, 3, Budget.OfEpochs((int)Math.Max(3, end)), checkpoint: new(parts, true, Never));
        var resumed = trainer.Train(Wild, 3, Budget.OfEpochs(27), checkpoint: new(parts, true, Never));
        Assert.Equal(
            (straight.Best.Value.Step, straight.Best.Value.Loss, straight.Best.Value.Metric),
            (resumed.Best!.Value.Step, resumed.Best.Value.Loss, resumed.Best.Value.Metric)
        );
        using var a = Checkpoint.Load(Path.Combine(whole, Best));
        using var b = Checkpoint.Load(Path.Combine(parts, Best));
        Assert.Equal(a.Step, b.Step);
        Same(Weights(a), Weights(b));
        Assert.Equal(3, Directory.GetFiles(whole).Length);
    }

    /// <summary>A process that is killed between the two files leaves the best of a later step than the newest checkpoint.</summary>
    [Fact]
    public void A_best_ahead_of_the_checkpoint_is_found_again()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new DigitsMlp(), null);
        var choice = new OptimizerChoice("adamw", None);
        string ahead = folder.File("ahead");
        trainer.Train(choice, 3, Budget.OfEpochs(2), checkpoint: new(ahead, false, Never));
        byte[] early = File.ReadAllBytes(Directory.GetFiles(ahead, "step-*").Single());
        string name = Directory.GetFiles(ahead, "step-*").Single();
        trainer.Train(choice, 3, Budget.OfEpochs(4), checkpoint: new(ahead, true, Never));
        foreach (string file in Directory.GetFiles(ahead, "step-*"))
            File.Delete(file);
        File.WriteAllBytes(name, early);
        var run = trainer.Train(choice, 3, Budget.OfEpochs(6), checkpoint: new(ahead, true, Never));
        using var saved = Checkpoint.Load(Path.Combine(ahead, Best));
        Assert.Equal(run.Best!.Value.Step, saved.Step);
        File.WriteAllText(Path.Combine(ahead, Best), "damaged");
        var next = trainer.Train(choice, 3, Budget.OfEpochs(7), checkpoint: new(ahead, true, Never));
        using var again = Checkpoint.Load(Path.Combine(ahead, Best));
        Assert.Equal(next.Best!.Value.Step, again.Step);
    }

    [Fact]
    public void Weights_that_are_not_finite_replace_nothing_and_that_is_reported_once()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new Poisoned(), null);
        using var error = new StringWriter();
        var standard = Console.Error;
        TrainingRun run;
        Console.SetError(error);
        try
        {
            run = trainer.Train(new("sgd", None), 0, Budget.OfEpochs(6), checkpoint: new(folder.Path, false, TimeSpan.Zero));
        }
        finally
        {
            Console.SetError(standard);
        }
        Assert.Equal((RunStatus.Completed, 6), (run.Status, run.Steps));
        var withheld = Assert.Single(run.Events, e => e.Subject == "checkpoint");
        Assert.Equal(4, withheld.Step);
        Assert.Contains("model.spare.weight is not finite", withheld.Message, StringComparison.Ordinal);
        Assert.Single(error.ToString().Trim().Split('\n'), l => l.Contains("model.spare.weight is not finite", StringComparison.Ordinal));
        using var last = Checkpoint.Open(folder.Path);
        using var best = Checkpoint.Load(folder.File(Best));
        Assert.Equal((3, 3), (last.Step, best.Step));
        foreach (var checkpoint in (Checkpoint[])[last, best])
            Assert.All(checkpoint.Tensors.Values.Where(t => t.is_floating_point()), t => Assert.True(t.isfinite().all().ToBoolean()));
    }

    [Fact]
    public void A_run_that_diverges_leaves_its_best_which_no_other_run_replaces()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new DigitsMlp(), null);
        var choice = new OptimizerChoice("sgd", new Dictionary<string, string> { ["lr"] = "1e38" });
        Assert.Equal(RunStatus.Diverged, trainer.Train(choice, 0, Budget.OfEpochs(3), checkpoint: new(folder.Path, false, Never)).Status);
        Assert.Equal([Best], folder.Names());
        byte[] before = File.ReadAllBytes(folder.File(Best));
        Assert.Contains(
            "--resume",
            Assert
                .Throws<ArgumentException>(() => trainer.Train(choice, 0, Budget.OfEpochs(3), checkpoint: new(folder.Path, false, Never)))
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "LearningRate",
            Assert
                .Throws<ArgumentException>(() =>
                    trainer.Train(new("sgd", None), 0, Budget.OfEpochs(3), checkpoint: new(folder.Path, true, Never))
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Equal(RunStatus.Diverged, trainer.Train(choice, 0, Budget.OfEpochs(3), checkpoint: new(folder.Path, true, Never)).Status);
        using var a = Checkpoint.Load(folder.File(Best));
        File.WriteAllBytes(folder.File("before.safetensors"), before);
        using var b = Checkpoint.Load(folder.File("before.safetensors"));
        Assert.Equal(0, a.Step);
        Same(Weights(b), Weights(a));
    }

    /// <summary>Examples without a test set: an evaluation every three epochs, where they are full of batches.</summary>
    private static WorkloadData Examples(int count)
    {
        using var digits = Digits.Load();
        return new(digits.Train.Sample(count, 0), null);
    }

    /// <summary>The model of <see cref="DigitsMlp"/>, evaluated at ends of epochs.</summary>
    private sealed class Whole() : SmallWorkload("whole", 128)
    {
        public override nn.Module<Tensor, Tensor> CreateModel() => new DigitsMlp().CreateModel();

        public override WorkloadData Load(string? directory) => Examples(11 * 128);
    }

    /// <summary>Digits through a network with batch normalisation.</summary>
    private sealed class Normalised() : SmallWorkload("normalised", 100)
    {
        public override Target Target => new(Target.Loss, 0.01);

        public override WorkloadData Load(string? directory) => Examples(1400);

        public override nn.Module<Tensor, Tensor> CreateModel() =>
            nn.Sequential(
                ("flatten", nn.Flatten()),
                ("fc1", nn.Linear(64, 16)),
                ("norm", nn.BatchNorm1d(16)),
                ("tanh", nn.Tanh()),
                ("fc2", nn.Linear(16, 10))
            );
    }

    /// <summary>Trains well, but after two steps of one batch each a weight that no output depends on is infinite.</summary>
    private sealed class Poisoned() : SmallWorkload("poisoned", 4)
    {
        public override Likelihood Likelihood { get; } = new Gaussian();
        public override Metric Metric { get; } = new("error", false, (f, y) => (f - y).square().sum());

        public override WorkloadData Load(string? directory) => new(new(ones(4, 1), zeros(4, 1)), null);

        public override nn.Module<Tensor, Tensor> CreateModel() => new Model();

        private sealed class Model : nn.Module<Tensor, Tensor>
        {
            private readonly Linear _layer = nn.Linear(1, 1),
                _spare = nn.Linear(1, 1);
            private int _batches;

            public Model()
                : base("poisoned")
            {
                register_module("layer", _layer);
                register_module("spare", _spare);
            }

            public override Tensor forward(Tensor x)
            {
                if (is_grad_enabled() && ++_batches == 4)
                    using (no_grad())
                        _spare.weight!.fill_(double.PositiveInfinity);
                return _layer.call(x);
            }
        }
    }
}
