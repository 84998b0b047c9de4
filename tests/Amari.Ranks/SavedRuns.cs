using Amari.Optimizers;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using Amari.Workloads.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>Trains optimizers one after the other, each with checkpoints of its own, and continues what was begun: for a test that kills
/// it.</summary>
internal static class SavedRuns
{
    private const int Seed = 3,
        Epochs = 22, // long enough for an evaluation between the first and the last one of every method
        EpochsOfLongSteps = 11,
        HoldFrom = 3; // epochs

    private static readonly string[] LongSteps =
    [
        "newton",
        "saddle-free-newton",
        "natural-gradient",
        "levenberg-marquardt",
        "gauss-newton",
    ];

    /// <param name="folder">Each optimizer's checkpoints are in a folder of its name here.</param>
    /// <param name="held">The optimizers whose runs do not end, but wait at their second evaluation to be killed, and are saved at every
    /// step. The next run begins when the one before waits.</param>
    /// <param name="optimizers">By name.</param>
    public static void Run(string folder, IReadOnlyList<string> held, IReadOnlyList<string> optimizers)
    {
        foreach (string name in optimizers)
        {
            if (!held.Contains(name) || name == optimizers[^1])
            {
                Train(folder, name, held.Contains(name) ? () => { } : null);
                continue;
            }
            using var waits = new ManualResetEventSlim();
            new Thread(() => Train(folder, name, waits.Set)) { IsBackground = true }.Start();
            waits.Wait();
        }
    }

    /// <param name="folder">As above.</param>
    /// <param name="name">The optimizer.</param>
    /// <param name="hold">Called before a run waits for ever; null for one that ends.</param>
    private static void Train(string folder, string name, Action? hold)
    {
        using var trainer = new Trainer(LabelSquares.For(name, new Noisy()), null);
        var start = new Start();
        var run = trainer.Train(
            new(name, new Dictionary<string, string>()),
            Seed,
            Budget.OfEpochs(LongSteps.Contains(name) ? EpochsOfLongSteps : Epochs),
            start,
            new(Path.Combine(folder, name), Resume: true, hold is null ? TimeSpan.FromHours(1) : TimeSpan.Zero),
            (_, point) =>
            {
                if (hold is null || point.Step < HoldFrom * trainer.StepsPerEpoch)
                    return;
                hold();
                Thread.Sleep(Timeout.Infinite);
            }
        );
        Console.WriteLine($"{name}: {start.Step} to {run.Steps}, {run.Status}");
    }

    /// <summary>The step that a run begins at.</summary>
    private sealed class Start : IProgress<RunProgress>
    {
        public long? Step { get; private set; }

        public void Report(RunProgress value) => Step ??= value.Step;
    }

    /// <summary>Digits of 2x2 pixels, with dropout and batch normalisation: small enough for dense matrices.</summary>
    private sealed class Noisy : Workload
    {
        public override string Name => "noisy";
        public override string Description => "digits of 2x2 pixels";
        public override int BatchSize => 240;
        public override Likelihood Likelihood { get; } = new Categorical();
        public override Metric Metric => Metric.Accuracy;
        public override Target Target => new("loss", 0.1);
        public override Budget DefaultBudget => Budget.OfEpochs(1);

        public override WorkloadData Load(string? directory) => Digits.Load();

        public override nn.Module<Tensor, Tensor> CreateModel() =>
            nn.Sequential(
                ("pool", nn.AvgPool2d(4)),
                ("flatten", nn.Flatten()),
                ("fc1", nn.Linear(4, 5)),
                ("norm", nn.BatchNorm1d(5)),
                ("tanh", nn.Tanh()),
                ("drop", nn.Dropout(0.3)),
                ("fc2", nn.Linear(5, 10))
            );

        public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
            new Dictionary<string, IReadOnlyDictionary<string, string>>
            {
                ["newton"] = new Dictionary<string, string> { ["Damping"] = "1" },
                ["hessian-free"] = new Dictionary<string, string> { ["MaxIterations"] = "8" },
                ["lbfgs"] = new Dictionary<string, string> { ["LearningRate"] = "0.3", ["Iterations"] = "6" },
            };
    }
}
