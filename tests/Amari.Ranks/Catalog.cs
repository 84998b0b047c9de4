using Amari.Distributed;
using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>Every optimizer that commands offer, trained as they train it, against one process with the whole batch.</summary>
internal static class Catalog
{
    private const int Seed = 3;
    private const double Rounding = 1e-7,
        LeastMove = 1e-4; // float64: what iterations make of its rounding, and what a step moves at least

    public static void Run(Communicator world)
    {
        foreach (var entry in OptimizerCatalog.All)
        {
            using var scope = NewDisposeScope();
            var (run, actual) = Train(entry.Name, world);
            if (world.Rank > 0)
                continue; // rank 0 alone is shown the weights; every rank's own make the losses
            var (alone, expected) = Train(entry.Name, null);
            double error = Distance(actual, expected),
                moved = Distance(actual, Start());
            if (!(error < Rounding && moved > LeastMove))
                throw new InvalidOperationException($"{entry.Name} moved by {moved:G3} and differs from one process by {error:G3}");
            if (run.Losses.Zip(alone.Losses).Any(l => !(Math.Abs(l.First.Loss - l.Second.Loss) < Rounding)))
                throw new InvalidOperationException($"{entry.Name}: the losses differ from those of one process");
        }
    }

    private static double Distance(Tensor a, Tensor b) => (a - b).abs().max().ToDouble();

    private static Tensor Start()
    {
        manual_seed(Seed);
        using var model = new Small().CreateModel();
        return Flat(model);
    }

    /// <summary>The run, and the weights at its end: rank 0's.</summary>
    private static (TrainingRun TrainingRun, Tensor Weights) Train(string optimizer, Communicator? ranks)
    {
        using var trainer = new Trainer(LabelSquares.For(optimizer, new Small()), null, ranks);
        var weights = zeros(0);
        var run = trainer.Train(
            new(optimizer, new Dictionary<string, string>()),
            Seed,
            Budget.OfEpochs(2),
            evaluated: (model, _) => weights = Flat(model)
        );
        return (run, weights);
    }

    private static Tensor Flat(nn.Module model) => cat([.. model.parameters().Select(p => p.detach().reshape(-1))]);

    /// <summary>A network with a convolution and a normalisation on random images, in float64.</summary>
    private sealed class Small : Workload
    {
        private const int Classes = 6,
            Examples = 93;

        public override string Name => "small";
        public override string Description => "random images";
        public override int BatchSize => 31; // uneven parts
        public override Likelihood Likelihood { get; } = new Categorical();
        public override Metric Metric => Metric.Accuracy;
        public override Target Target => new("loss", 0);
        public override Budget DefaultBudget => Budget.OfEpochs(1);

        public override WorkloadData Load(string? directory)
        {
            using var generator = new Generator(5);
            return new(
                new(
                    randn([Examples, 1, 8, 8], dtype: ScalarType.Float64, generator: generator),
                    randint(0, Classes, [Examples], dtype: ScalarType.Int64, generator: generator)
                ),
                null
            );
        }

        public override nn.Module<Tensor, Tensor> CreateModel()
        {
            var model = nn.Sequential(
                ("conv", nn.Conv2d(1, 2, 3)),
                ("tanh", nn.Tanh()),
                ("pool", nn.AvgPool2d(3)),
                ("flat", nn.Flatten()),
                ("fc1", nn.Linear(8, 6)),
                ("norm", nn.LayerNorm(6)),
                ("tanh2", nn.Tanh()),
                ("fc2", nn.Linear(6, Classes))
            );
            model.to(ScalarType.Float64);
            return model;
        }

        public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
            new Dictionary<string, IReadOnlyDictionary<string, string>>
            {
                // a side longer than the other has a factor with a null space, whose basis rounding decides: none of those here
                ["soap"] = new Dictionary<string, string> { ["MaxDimension"] = "6", ["RefreshInterval"] = "3" },
                ["routed-soap"] = new Dictionary<string, string> { ["MatrixOptimizer.MaxDimension"] = "6" },
                // steps that do not carry rounding far: near a singular matrix, or over many iterations, it grows to any size
                ["newton"] = new Dictionary<string, string> { ["Damping"] = "1" },
                ["saddle-free-newton"] = new Dictionary<string, string> { ["Damping"] = "0.1" },
                ["natural-gradient"] = new Dictionary<string, string> { ["Damping"] = "0.1" },
                ["hessian-free"] = new Dictionary<string, string> { ["MaxIterations"] = "8" },
                ["lbfgs"] = new Dictionary<string, string> { ["LearningRate"] = "0.3", ["Iterations"] = "6" },
                ["gauss-newton"] = new Dictionary<string, string> { ["Damping"] = "0.1" },
            };
    }
}
