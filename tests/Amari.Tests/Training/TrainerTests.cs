using Amari.Optimizers;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Tests.Training;

/// <summary>Runs: repeatable, resumable bit for bit.</summary>
public sealed class TrainerTests
{
    public static TheoryData<string> Optimizers => [.. OptimizerCatalog.All.Select(o => o.Name)];

    private static readonly Dictionary<string, string> None = [];

    /// <summary>Every tensor of the newest checkpoint, as bytes.</summary>
    private static Dictionary<string, byte[]> Newest(string folder)
    {
        using var checkpoint = new CheckpointDirectory(folder).Load(out var refused)!;
        Assert.Empty(refused);
        return checkpoint.Tensors.ToDictionary(t => t.Key, t => t.Value.bytes.ToArray());
    }

    [Theory, MemberData(nameof(Optimizers))]
    public void Resumed_run_is_bit_identical(string optimizer)
    {
        using var folder = new TemporaryFolder();
        var workload = OptimizerCatalog.Find(optimizer).OptionsType.DeclaringType!.IsSubclassOf(typeof(SecondOrderOptimizer))
            ? new SmallDigits()
            : (Workload)new DigitsMlp();
        workload = LabelSquares.For(optimizer, workload);
        using var trainer = new Trainer(workload, null);
        string whole = Path.Combine(folder.Path, "whole"),
            parts = Path.Combine(folder.Path, "parts");
        var choice = new OptimizerChoice(optimizer, None);
        var straight = trainer.Train(choice, 3, Budget.OfEpochs(6), checkpoint: new(whole, false, TimeSpan.FromHours(1)));
        trainer.Train(choice, 3, Budget.OfEpochs(2), checkpoint: new(parts, false, TimeSpan.FromHours(1)));
        manual_seed(99); // whatever ran in between must not matter
        using var stop = new CancellationTokenSource();
        using var stopping = new Trainer(new Stopping(workload, stop, batches: 5), null);
        var interrupted = stopping.Train(choice, 3, Budget.OfEpochs(6), null, new(parts, true, TimeSpan.FromHours(1)), stop: stop.Token);
        Assert.Equal(RunStatus.Interrupted, interrupted.Status);
        Assert.NotEqual(0, interrupted.Steps % trainer.StepsPerEpoch); // in the middle of an epoch
        var resumed = trainer.Train(choice, 3, Budget.OfEpochs(6), checkpoint: new(parts, true, TimeSpan.FromHours(1)));
        Assert.Equal(straight.FinalLoss, resumed.FinalLoss);
        Assert.Equal(straight.Steps, resumed.Steps);
        var losses = resumed.Losses.ToDictionary(p => p.Step, p => p.Loss);
        Assert.All(straight.Losses, p => Assert.Equal(p.Loss, losses[p.Step]));
        Assert.Equal(straight.Losses.Count + 2, losses.Count); // and at the end of the smaller budget, and where it was stopped
        var (a, b) = (Newest(whole), Newest(parts));
        Assert.Equal(a.Keys.Order(), b.Keys.Order());
        Assert.All(a, t => Assert.Equal(t.Value, b[t.Key]));
    }

    /// <summary>Digits of 2x2 pixels: small enough for dense matrices.</summary>
    private sealed class SmallDigits() : SmallWorkload("small", 300)
    {
        public override Target Target => new("loss", 0.1);

        public override nn.Module<Tensor, Tensor> CreateModel() =>
            nn.Sequential(("pool", nn.AvgPool2d(4)), ("flatten", nn.Flatten()), ("fc", nn.Linear(4, 10)));
    }

    /// <summary>A workload, interrupted after some batches.</summary>
    private sealed class Stopping(Workload inner, CancellationTokenSource stop, int batches) : Workload
    {
        private readonly Workload _inner = inner;
        public override string Name => _inner.Name;
        public override string Description => _inner.Description;
        public override int BatchSize => _inner.BatchSize;
        public override Likelihood Likelihood => _inner.Likelihood;
        public override Metric Metric => _inner.Metric;
        public override Target Target => _inner.Target;
        public override Budget DefaultBudget => _inner.DefaultBudget;
        public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings => _inner.Settings;

        public override WorkloadData Load(string? directory) => _inner.Load(directory);

        public override nn.Module<Tensor, Tensor> CreateModel()
        {
            var model = _inner.CreateModel();
            int seen = 0;
            ((Sequential)model).register_forward_hook(
                (m, x, f) =>
                {
                    if (is_grad_enabled() && ++seen == batches)
                        stop.Cancel();
                    return f;
                }
            );
            return model;
        }
    }

    [Fact]
    public void Showing_the_model_at_evaluations_does_not_change_the_run()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var choice = new OptimizerChoice("adamw", new Dictionary<string, string>());
        var shown = new List<(LossPoint Point, double Size)>();
        var watched = trainer.Train(
            choice,
            1,
            Budget.OfEpochs(3),
            evaluated: (model, point) => shown.Add((point, model.parameters().First().norm().ToDouble()))
        );
        Assert.Equal(watched.Losses, shown.Select(s => s.Point));
        Assert.Equal(shown.Count, shown.Select(s => s.Size).Distinct().Count());
        Assert.Equal(trainer.Train(choice, 1, Budget.OfEpochs(3)).Losses.Select(l => l.Loss), watched.Losses.Select(l => l.Loss));
    }

    [Theory, InlineData("schedulefree-adamw"), InlineData("schedulefree-sgd")]
    public void What_is_evaluated_and_saved_is_the_average_not_the_training_point(string optimizer)
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new DigitsMlp(), null);
        double[] shown = [];
        var run = trainer.Train(
            new(optimizer, new Dictionary<string, string> { ["Beta1"] = "0.8" }),
            2,
            Budget.OfEpochs(3),
            checkpoint: new(folder.Path, false, TimeSpan.FromHours(1)),
            evaluated: (m, _) => shown = Amari.Tests.Optimizers.Problem.Values(m.parameters())
        );
        using var checkpoint = Checkpoint.Open(folder.Path);
        using var model = new DigitsMlp().CreateModel();
        checkpoint.CopyTo(model);
        double[] x = Amari.Tests.Optimizers.Problem.Values(model.parameters()),
            y = Saved("TrainingPoint"),
            z = Saved("Iterate");
        Assert.Equal(shown, x);
        Assert.NotEqual(y, x);
        for (int i = 0; i < x.Length; i++)
            Assert.InRange(y[i] - (0.2 * z[i] + 0.8 * x[i]), -1e-5, 1e-5);
        Assert.Empty(run.Events);

        double[] Saved(string member) =>
            Amari.Tests.Optimizers.Problem.Values(model.named_parameters().Select(p => checkpoint.Tensors[$"optimizer.{p.name}.{member}"]));
    }

    [Fact]
    public void Checkpoint_of_another_run_and_an_unasked_resume_are_refused()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new DigitsMlp(), null);
        var every = TimeSpan.FromHours(1);
        trainer.Train(new("sgd", None), 1, Budget.OfEpochs(1), checkpoint: new(folder.Path, false, every));
        Assert.Contains(
            "--resume",
            Assert
                .Throws<ArgumentException>(() =>
                    trainer.Train(new("sgd", None), 1, Budget.OfEpochs(1), checkpoint: new(folder.Path, false, every))
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "seed 1",
            Assert
                .Throws<ArgumentException>(() =>
                    trainer.Train(new("sgd", None), 2, Budget.OfEpochs(1), checkpoint: new(folder.Path, true, every))
                )
                .Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "LearningRate",
            Assert
                .Throws<ArgumentException>(() =>
                    trainer.Train(
                        new("sgd", new Dictionary<string, string> { ["lr"] = "0.05" }),
                        1,
                        Budget.OfEpochs(1),
                        checkpoint: new(folder.Path, true, every)
                    )
                )
                .Message,
            StringComparison.Ordinal
        );
        foreach (string file in Directory.GetFiles(folder.Path))
            File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1]);
        Assert.Contains(
            "damaged",
            Assert
                .Throws<InvalidDataException>(() =>
                    trainer.Train(new("sgd", None), 1, Budget.OfEpochs(1), checkpoint: new(folder.Path, true, every))
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_folder_that_cannot_hold_checkpoints_is_refused_before_training()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new DigitsMlp(), null);
        string file = folder.File("file");
        File.WriteAllText(file, "");
        foreach (
            string bad in (string[])[file, Path.Combine(file, "below"), .. OperatingSystem.IsLinux() ? (string[])["/proc/checkpoints"] : []]
        )
        {
            bool trained = false;
            var e = Assert.Throws<ArgumentException>(() =>
                trainer.Train(
                    new("sgd", None),
                    1,
                    Budget.OfEpochs(1),
                    checkpoint: new(bad, false, TimeSpan.FromHours(1)),
                    evaluated: (_, _) => trained = true
                )
            );
            Assert.Contains($"'{bad}'", e.Message, StringComparison.Ordinal);
            Assert.False(trained);
        }
    }

    [Fact]
    public void A_target_of_an_unknown_quantity_is_refused()
    {
        Assert.Contains(
            "F1 0.9",
            Assert.Throws<ArgumentException>(() => new Trainer(new Aiming(new("F1", 0.9)), null)).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "NaN",
            Assert.Throws<ArgumentException>(() => new Trainer(new Aiming(new(Target.Loss, double.NaN)), null)).Message,
            StringComparison.Ordinal
        );
        foreach (double value in (double[])[2, -0.1])
            Assert.EndsWith(
                FormattableString.Invariant($"is accuracy {value}; it must be from 0 to 1."),
                Assert.Throws<ArgumentException>(() => new Trainer(new Aiming(new("accuracy", value)), null)).Message,
                StringComparison.Ordinal
            );
    }

    /// <summary>The small digits with a target.</summary>
    private sealed class Aiming(Target target) : SmallWorkload("aiming", 300)
    {
        public override Target Target => target;

        public override nn.Module<Tensor, Tensor> CreateModel() => nn.Sequential(("flatten", nn.Flatten()), ("fc", nn.Linear(64, 10)));
    }

    [Fact]
    public void Divergence_is_a_status()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var run = trainer.Train(new("sgd", new Dictionary<string, string> { ["lr"] = "1e38" }), 0, Budget.OfEpochs(3));
        Assert.Equal(RunStatus.Diverged, run.Status);
    }

    [Fact]
    public void A_variant_takes_original_preset_and_chosen_settings_in_order()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        T Of<T>(string name, params (string Name, string Value)[] settings)
            where T : OptimizerOptions => (T)trainer.Options(new(name, settings.ToDictionary(s => s.Name, s => s.Value)));
        Assert.Equal(Of<AdamW.Options>("adamw") with { StateFormat = StateFormat.BlockwiseInt8 }, Of<AdamW.Options>("adamw-8bit"));
        Assert.NotEqual(new AdamW.Options { StateFormat = StateFormat.BlockwiseInt8 }, Of<AdamW.Options>("adamw-8bit"));
        Assert.Equal(StateFormat.BFloat16, Of<AdamW.Options>("adamw-8bit", ("state-format", "BFloat16")).StateFormat);
        // an optimizer of its own
        Assert.Equal(
            new Kfac.Options
            {
                Damping = 1e-3,
                Curvature = new() { Inverse = new InverseOptions.EigenvalueCorrection() },
            },
            Of<Kfac.Options>("ekfac")
        );
        Assert.Equal(new InverseOptions.Eigenbasis(), Of<Kfac.Options>("ekfac", ("damping-method", "Eigenbasis")).Curvature.Inverse);
        Assert.NotEqual(Loss("kfac"), Loss("ekfac"));

        double Loss(string name) => trainer.Train(new(name, new Dictionary<string, string>()), 1, Budget.OfEpochs(1)).Losses[^1].Loss;
    }
}
