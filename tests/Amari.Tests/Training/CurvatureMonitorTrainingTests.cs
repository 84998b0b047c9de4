using Amari.Ranks;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Training;
using Amari.Workloads;
using Amari.Workloads.Data;
using static TorchSharp.torch.nn;

namespace Amari.Tests.Training;

/// <summary>The monitor leaves no trace in the training.</summary>
public sealed class CurvatureMonitorTrainingTests
{
    public static TheoryData<string> Optimizers => ["adamw", "kfac", "hessian-free"];

    [Theory, MemberData(nameof(Optimizers))]
    public void Weights_are_the_same_bit_for_bit_with_and_without(string optimizer)
    {
        using var trainer = new Trainer(new Noisy(), null) { MonitorClock = new Clock() }; // measurements cost nothing: all are made
        using var folder = new TemporaryFolder();
        var choice = new OptimizerChoice(optimizer, new Dictionary<string, string>());
        var lines = new List<MonitorLine>();
        var monitor = new MonitorOptions { Share = 0.9, Examples = 64 };
        var plain = trainer.Train(choice, 1, Budget.OfEpochs(4), checkpoint: Save("plain"));
        var watched = trainer.Train(
            choice,
            1,
            Budget.OfEpochs(4),
            checkpoint: Save("watched"),
            monitor: monitor,
            monitored: new Collect<MonitorLine>(lines.Add)
        );
        trainer.Train(choice, 1, Budget.OfEpochs(2), checkpoint: Save("parts"), monitor: monitor);
        var before = Newest("parts").Monitor;
        var again = new List<MonitorLine>();
        var resumed = trainer.Train(
            choice,
            1,
            Budget.OfEpochs(4),
            checkpoint: Save("parts", resume: true),
            monitor: monitor,
            monitored: new Collect<MonitorLine>(again.Add)
        );
        Assert.Null(plain.Monitor);
        Assert.Equal(20, watched.Steps);
        // every other one is the KL's before
        Assert.Equal(Enumerable.Range(0, 11).Select(i => 2L * i), watched.Monitor!.Rows.Select(r => r.Step));
        Assert.All(watched.Monitor.Rows.Skip(1), r => Assert.True(r is { Kl: > 0, KlSteps: 1, Sharpness: > 0 }));
        var expected = Newest("plain").Tensors;
        foreach (string other in (string[])["watched", "parts"])
            Assert.All(Newest(other).Tensors, t => Assert.Equal(expected[t.Key], t.Value));
        Assert.Equal(watched.Monitor.Rows, lines.Select(l => l.Row).Where(r => r.NoiseScale is not null));
        Assert.All(lines, l => Assert.Equal((optimizer, 1), (l.Optimizer, l.Seed)));
        Assert.Equal(before, resumed.Monitor!.Rows.Take(before.Length).Select(r => r.Step));
        Assert.Equal(resumed.Monitor.Rows.Select(r => r.Step).Distinct().Order(), resumed.Monitor.Rows.Select(r => r.Step));
        Assert.True(resumed.Monitor.Rows.Count > before.Length);
        Assert.Equal(resumed.Monitor.Rows, again.Select(l => l.Row).Where(r => r.NoiseScale is not null));
        if (optimizer == "hessian-free")
            Assert.Equal(
                Enumerable.Range(1, (int)watched.Steps).Select(i => (long)i),
                lines.Where(l => l.Row.Report is not null).Select(l => l.Row.Report!.Step)
            );

        CheckpointOptions Save(string name, bool resume = false) => new(folder.File(name), resume, TimeSpan.FromHours(1));

        (Dictionary<string, byte[]> Tensors, long[] Monitor) Newest(string name)
        {
            using var checkpoint = new CheckpointDirectory(folder.File(name)).Load(out _)!;
            var rows = System.Text.Json.Nodes.JsonNode.Parse(checkpoint.Metadata["run"])!["monitor"]?["Rows"]!.AsArray();
            return (
                checkpoint.Tensors.ToDictionary(t => t.Key, t => t.Value.bytes.ToArray()),
                [.. rows?.Select(r => (long)r!["Step"]!) ?? []]
            );
        }
    }

    /// <summary>Digits of 4x4 pixels, with dropout and batch normalisation.</summary>
    private sealed class Noisy() : SmallWorkload("noisy", 240)
    {
        public override Target Target => new("loss", 0.1);

        public override Module<Tensor, Tensor> CreateModel() =>
            Sequential(
                ("pool", AvgPool2d(2)),
                ("flatten", Flatten()),
                ("fc1", Linear(16, 12)),
                ("norm", BatchNorm1d(12)),
                ("tanh", Tanh()),
                ("drop", Dropout(0.3)),
                ("fc2", Linear(12, 10))
            );
    }
}
