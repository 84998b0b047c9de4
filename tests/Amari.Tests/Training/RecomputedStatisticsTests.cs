using Amari.Ranks;
using Amari.Serialization;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;
using Amari.Workloads.Data;
using static TorchSharp.torch.nn;

namespace Amari.Tests.Training;

/// <summary>BatchNorm under an optimizer whose weights for use are not those in training.</summary>
public sealed class RecomputedStatisticsTests
{
    /// <summary>Digits of 4x4 pixels; a batch is all of the data, so that every batch has the same statistics.</summary>
    private sealed class Normalised() : SmallWorkload("normalised", 1437)
    {
        public override Target Target => new("loss", 0.1);

        public override Module<Tensor, Tensor> CreateModel() =>
            Sequential(
                ("pool", AvgPool2d(2)),
                ("flatten", Flatten()),
                ("fc1", Linear(16, 12)),
                ("norm", BatchNorm1d(12)),
                ("tanh", Tanh()),
                ("fc2", Linear(12, 10))
            );
    }

    private static readonly OptimizerChoice Free = new("schedulefree-sgd", new Dictionary<string, string>());

    [Fact]
    public void An_evaluation_uses_the_statistics_of_its_weights()
    {
        var workload = new Normalised();
        using var trainer = new Trainer(workload, null);
        int seen = 0;
        trainer.Train(
            Free,
            1,
            Budget.OfEpochs((int)(3 * trainer.StepsBetweenEvaluations(10))),
            evaluated: (model, point) =>
            {
                if (point.Step == 0)
                    return;
                seen++;
                using var off = no_grad();
                using var scope = NewDisposeScope();
                var (norm, p) = (
                    model.modules().OfType<TorchSharp.Modules.BatchNorm1d>().Single(),
                    model.named_parameters().ToDictionary(p => p.name, p => p.parameter)
                );
                var (x, y) = (trainer.Data.Train.Inputs, trainer.Data.Train.Targets);
                var s = functional.avg_pool2d(x, 2).flatten(1).mm(p["fc1.weight"].t()) + p["fc1.bias"];
                Close(s.mean([0]), norm.running_mean!);
                Close(s.@var(0L), norm.running_var!);
                var normal = (s - s.mean([0])) / (s.@var(0L) + norm.eps).sqrt() * norm.weight + norm.bias!;
                var f = normal.tanh().mm(p["fc2.weight"].t()) + p["fc2.bias"];
                Assert.Equal(functional.cross_entropy(f, y).ToDouble(), point.Loss, 1e-4);
            }
        );
        Assert.True(seen >= 3);

        static void Close(Tensor expected, Tensor actual) => Assert.InRange((expected - actual).abs().max().ToDouble(), 0, 1e-4);
    }

    [Fact]
    public void Training_goes_on_from_its_own_statistics_bit_for_bit()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new Normalised(), null);
        trainer.Train(Free, 1, Budget.OfEpochs(6), checkpoint: Save("whole"));
        foreach (int until in new[] { 1, 2, 4, 6 })
            trainer.Train(Free, 1, Budget.OfEpochs(until), checkpoint: Save("parts", resume: true)); // each evaluates at its end, too
        var (whole, parts) = (Newest("whole"), Newest("parts"));
        Assert.All(whole, t => Assert.Equal(t.Value, parts[t.Key]));

        CheckpointOptions Save(string name, bool resume = false) => new(folder.File(name), resume, TimeSpan.FromHours(1));

        Dictionary<string, byte[]> Newest(string name)
        {
            using var checkpoint = new CheckpointDirectory(folder.File(name)).Load(out _)!;
            return checkpoint.Tensors.ToDictionary(t => t.Key, t => t.Value.bytes.ToArray());
        }
    }

    [Fact]
    public void What_training_left_comes_back()
    {
        using var scope = NewDisposeScope();
        var model = new Normalised().CreateModel();
        var norm = model.modules().OfType<TorchSharp.Modules.BatchNorm1d>().Single();
        model.call(randn(20, 1, 8, 8));
        var (mean, variance, count, momentum) = (
            norm.running_mean!.clone(),
            norm.running_var!.clone(),
            norm.num_batches_tracked!.clone(),
            norm.momentum
        );
        using (new RecomputedStatistics(model, 3, i => randn(20, 1, 8, 8) + i))
            Assert.NotEqual(Optimizers.Problem.Values([mean]), Optimizers.Problem.Values([norm.running_mean!]));
        Assert.Equal(
            Optimizers.Problem.Values([mean, variance, count]),
            Optimizers.Problem.Values([norm.running_mean!, norm.running_var!, norm.num_batches_tracked!])
        );
        Assert.Equal(momentum, norm.momentum);
    }
}
