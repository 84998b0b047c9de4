using System.Text.Json.Nodes;
using Amari.Cli.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>What a checkpoint knows of its run, and numbers that are none.</summary>
public sealed class RunRecordTests
{
    private static readonly Dictionary<string, string> None = [];

    [Fact]
    public void A_record_comes_back_as_it_was_with_losses_that_are_not_finite()
    {
        var record = Record();
        record.Evaluated(2.5, 0.125);
        foreach (double loss in (double[])[double.NaN, double.PositiveInfinity, 0.1])
        {
            record.Add(0.25);
            record.Evaluated(loss, double.NegativeInfinity);
        }
        var restored = Record();
        restored.Restore(record.ToJson());
        Assert.Equal(record.Losses, restored.Losses);
        Assert.Equal((record.Step, record.Seconds, record.Metric), (restored.Step, restored.Seconds, restored.Metric));
        Assert.Equal(new(3, 0.75, 0.1, double.NegativeInfinity), restored.Best);
        Assert.Equal(record.Best, RunRecord.BestOf(record.ToJson()));
        var earlier = System.Text.Json.Nodes.JsonNode.Parse(record.ToJson())!.AsObject();   // of a version without these
        earlier.Remove("best");
        earlier.Remove("start");
        restored = Record();
        restored.Restore(earlier.ToJsonString());
        Assert.Equal(new(3, 0.75, 0.1, double.NaN), restored.Best);

        static RunRecord Record() => new("workload", "sgd", new Dictionary<string, string> { ["LearningRate"] = "0.1" }, 1);
    }

    [Fact]
    public void A_run_is_saved_continued_and_reported_though_its_evaluations_are_not_numbers()
    {
        using var folder = new TemporaryFolder();
        var workload = new Blind();
        using var trainer = new Trainer(workload, null);
        using var stopped = new CancellationTokenSource();
        string saved = folder.File("saved");
        var run = trainer.Train(new("sgd", None), 0, Budget.OfEpochs(2), checkpoint: new(saved, false, TimeSpan.Zero),
            evaluated: (_, point) =>
            {
                if (point.Step > 0) stopped.Cancel();
            }, stop: stopped.Token);
        Assert.Equal((RunStatus.Interrupted, 1), (run.Status, run.Steps));
        Assert.All(run.Losses, l => Assert.True(double.IsNaN(l.Loss)));

        using var output = new StringWriter();
        var results = ResultFolder.Prepare(folder.File("out"), false, "blind", null);
        Assert.Equal(1, Report.Write(new(workload.Name, workload.Metric.Name, workload.Target, Budget.OfEpochs(2), [run], []), workload, results, output));
        var told = JsonNode.Parse(File.ReadAllText(results.FileNamed("result.json")))!["runs"]![0]!;
        Assert.Equal("interrupted", (string?)told["status"]);
        Assert.Null(told["finalLoss"]);
        Assert.Null(told["finalMetric"]);
        Assert.True(File.Exists(results.FileNamed("report.html")));

        var resumed = trainer.Train(new("sgd", None), 0, Budget.OfEpochs(2), checkpoint: new(saved, true, TimeSpan.Zero));
        Assert.Equal(run.Losses, resumed.Losses.Take(run.Losses.Count));
        Assert.Equal((RunStatus.Diverged, 2), (resumed.Status, resumed.Steps));
    }

    /// <summary>Trains well, but what is evaluated is NaN. One batch an epoch.</summary>
    private sealed class Blind : Workload
    {
        public override string Name => "blind";
        public override string Description => Name;
        public override int BatchSize => 4;
        public override Likelihood Likelihood { get; } = new Gaussian();
        public override Metric Metric { get; } = new("error", false, (f, y) => (f - y).square().sum());
        public override Target Target => new(Target.Loss, 0);
        public override Budget DefaultBudget => Budget.OfEpochs(1);
        public override WorkloadData Load(string? directory) => new(new(ones(4, 1), zeros(4, 1)), null);

        public override nn.Module<Tensor, Tensor> CreateModel()
        {
            var layer = nn.Linear(1, 1);
            layer.register_forward_hook((_, _, f) => is_grad_enabled() ? f : f * double.NaN);
            return layer;
        }
    }
}
