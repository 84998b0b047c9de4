using System.Text.Json.Nodes;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Reporting;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>What a checkpoint knows of its run, and numbers that are none.</summary>
public sealed class RunRecordTests
{
    private static readonly Dictionary<string, string> None = [];

    [Fact]
    public void A_record_with_infinite_losses_comes_back_unchanged()
    {
        var record = Record();
        record.Evaluated(new(2.5, 3.5, 0.125), 0.1);
        foreach (double loss in (double[])[double.NaN, double.PositiveInfinity, 0.1])
        {
            record.Add(0.25);
            record.Evaluated(new(loss, double.PositiveInfinity, double.NegativeInfinity), 0.05);
        }
        var restored = Record();
        restored.Restore(record.ToJson());
        Assert.Equal(record.Losses, restored.Losses);
        Assert.Equal(record.HeldOut, restored.HeldOut);
        Assert.Equal(record.Rates, restored.Rates);
        Assert.Equal((record.Step, record.Seconds, record.Metric), (restored.Step, restored.Seconds, restored.Metric));
        Assert.Equal(new(3, 0.75, 0.1, double.NegativeInfinity), restored.Best);
        Assert.Equal(record.Best, RunRecord.BestOf(record.ToJson()));
        var earlier = System.Text.Json.Nodes.JsonNode.Parse(record.ToJson())!.AsObject(); // of a version without these
        earlier.Remove("best");
        earlier.Remove("start");
        restored = Record();
        restored.Restore(earlier.ToJsonString());
        Assert.Equal(new(3, 0.75, 0.1, double.NaN), restored.Best);

        static RunRecord Record() => new("workload", "sgd", new Dictionary<string, string> { ["LearningRate"] = "0.1" }, 1);
    }

    [Fact]
    public void A_shorter_budget_than_the_checkpoint_has_used_is_refused()
    {
        var run = Record(Budget.OfEpochs(30));
        for (int step = 0; step < 60; step++)
            run.Add(0.01);
        string saved = run.ToJson();
        foreach (var enough in (Budget[])[Budget.OfEpochs(30), Budget.OfEpochs(40), Budget.OfSeconds(0.7)])
            Assert.Equal(60, Restored(enough).Step);
        foreach (var less in (Budget[])[Budget.OfEpochs(10), Budget.OfSeconds(0.5)])
            Assert.Contains($"this run's budget of {less}", Assert.Throws<ArgumentException>(() => Restored(less)).Message);
        run.Add(0.01); // a time budget may be exceeded by a step, and is then the same
        Assert.Equal(61, Record(Budget.OfEpochs(30), run.ToJson()).Step);

        RunRecord Restored(Budget budget) => Record(budget, saved);

        static RunRecord Record(Budget budget, string? saved = null)
        {
            var record = new RunRecord("workload", "sgd", None, 1) { Budget = budget, StepsPerEpoch = 2 };
            if (saved is not null)
                record.Restore(saved);
            return record;
        }
    }

    [Fact]
    public void The_use_of_processors_goes_on_counting()
    {
        var run = new RunRecord("workload", "sgd", None, 1);
        run.AddProcessors(2, 1.5, 0.5);
        var resumed = new RunRecord("workload", "sgd", None, 1);
        resumed.Restore(run.ToJson());
        resumed.AddProcessors(1, 0.5, 0.25);
        Assert.Equal((3, 2, 0.75), (resumed.CountedSeconds, resumed.CpuSeconds, resumed.WaitedSeconds));
        run.AddProcessors(1, 1, null); // a system that does not tell
        resumed.Restore(run.ToJson());
        Assert.Equal((3, 2.5, (double?)null), (resumed.CountedSeconds, resumed.CpuSeconds, resumed.WaitedSeconds));
    }

    /// <summary>Another run's data or threads are reported when it goes on, and stay among its events.</summary>
    [Fact]
    public void Other_data_and_threads_are_reported_on_resume()
    {
        int threads = get_num_threads();
        try
        {
            set_num_threads(1);
            string saved = Record("a").ToJson();
            Assert.Empty(Record("a").Restore(saved));
            var resumed = Record("b");
            set_num_threads(2);
            var otherwise = resumed.Restore(saved);
            Assert.Equal(2, otherwise.Count);
            Assert.Contains("fingerprint b, before a", otherwise[0], StringComparison.Ordinal);
            Assert.Contains("2 threads, before 1", otherwise[1], StringComparison.Ordinal);
            Assert.Equal(otherwise, resumed.Events.Select(e => e.Message));
            var again = Record("b");
            Assert.Empty(again.Restore(resumed.ToJson()));
            Assert.Equal(otherwise, again.Events.Select(e => e.Message));
            var earlier = JsonNode.Parse(saved)!.AsObject(); // of a version that did not know
            earlier.Remove("data");
            earlier.Remove("threads");
            earlier.Remove("events");
            Assert.Empty(Record("b").Restore(earlier.ToJsonString()));
        }
        finally
        {
            set_num_threads(threads);
        }

        static RunRecord Record(string data) =>
            new("workload", "sgd", new Dictionary<string, string> { ["LearningRate"] = "0.1" }, 1) { Data = new(() => data) };
    }

    /// <summary>The data of a run in other numbers, shapes or types is other data; the same again is the same.</summary>
    [Fact]
    public void Other_data_has_another_fingerprint()
    {
        using var scope = NewDisposeScope();
        WorkloadData Data(Tensor x, Tensor y, Tensor? test = null) => new(new(x, y), test is null ? null : new(test, y));
        var (x, y) = (arange(12).reshape(4, 3).to_type(ScalarType.Float32), arange(4));
        var changed = x.clone();
        changed[3, 2] = 11.5f;
        string[] prints =
        [
            .. new[]
            {
                Data(x, y),
                Data(changed, y),
                Data(x, y.flip(0)),
                Data(x.reshape(4, 1, 3), y),
                Data(x.to_type(ScalarType.Float64), y),
                Data(x, y, x),
            }.Select(DataFingerprint.Of),
        ];
        Assert.Equal(prints.Length, prints.Distinct().Count());
        Assert.Equal(prints[0], DataFingerprint.Of(Data(x.t().contiguous().t(), y.clone())));
    }

    [Fact]
    public void A_resumed_run_says_that_its_options_began_earlier()
    {
        var saved = new RunRecord("workload", "muon", Settings.Describe(new Muon.Options()), 1).ToJson();
        var earlier = JsonNode.Parse(saved)!.AsObject();
        earlier["options"]!.AsObject().Remove("MaxGrowth");
        earlier["options"]!.AsObject().Remove("Cautious");
        var resumed = new RunRecord("workload", "muon", Settings.Describe(new Muon.Options()), 1);
        Assert.Contains(
            "MaxGrowth existed, and continues with none instead of 20",
            Assert.Single(resumed.Restore(earlier.ToJsonString())),
            StringComparison.Ordinal
        );
        Assert.Equal("none", resumed.ToRun(new(Target.Loss, 1), Metric.Accuracy, RunStatus.Completed, null).Options["MaxGrowth"]);
        var later = JsonNode.Parse(saved)!.AsObject();
        later["options"]!["Wisdom"] = "1";
        Assert.Contains(
            "Wisdom 1",
            Assert
                .Throws<ArgumentException>(() =>
                    new RunRecord("workload", "muon", Settings.Describe(new Muon.Options()), 1).Check(later.ToJsonString())
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_run_with_NaN_evaluations_is_saved_continued_and_reported()
    {
        using var folder = new TemporaryFolder();
        var workload = new Blind();
        using var trainer = new Trainer(workload, null);
        using var stopped = new CancellationTokenSource();
        string saved = folder.File("saved");
        var run = trainer.Train(
            new("sgd", None),
            0,
            Budget.OfEpochs(6),
            checkpoint: new(saved, false, TimeSpan.Zero),
            evaluated: (_, point) =>
            {
                if (point.Step > 0)
                    stopped.Cancel();
            },
            stop: stopped.Token
        );
        Assert.Equal((RunStatus.Interrupted, trainer.StepsPerEvaluation), (run.Status, run.Steps));
        Assert.All(run.Losses, l => Assert.True(double.IsNaN(l.Loss)));

        using var output = new StringWriter();
        var results = ResultFolder.Prepare(folder.File("out"), false, "blind", null);
        Assert.Equal(
            1,
            Report.Write(
                [(new(workload.Name, workload.Metric.Name, workload.Target, Budget.OfEpochs(2), [run], []), workload)],
                results,
                output
            )
        );
        var written = JsonNode.Parse(File.ReadAllText(results.FileNamed("result.json")))!["runs"]![0]!;
        Assert.Equal("interrupted", (string?)written["status"]);
        Assert.Null(written["finalLoss"]);
        Assert.Null(written["finalMetric"]);
        Assert.True(File.Exists(results.FileNamed("report.html")));

        var resumed = trainer.Train(new("sgd", None), 0, Budget.OfEpochs(6), checkpoint: new(saved, true, TimeSpan.Zero));
        Assert.Equal(run.Losses, resumed.Losses.Take(run.Losses.Count));
        Assert.Equal((RunStatus.Diverged, 6), (resumed.Status, resumed.Steps));
    }

    /// <summary>Trains well, but what is evaluated is NaN. One batch an epoch.</summary>
    private sealed class Blind() : SmallWorkload("blind", 4)
    {
        public override Likelihood Likelihood { get; } = new Gaussian();
        public override Metric Metric { get; } = new("error", false, (f, y) => (f - y).square().sum());

        public override WorkloadData Load(string? directory) => new(new(ones(4, 1), zeros(4, 1)), null);

        public override nn.Module<Tensor, Tensor> CreateModel()
        {
            var layer = nn.Linear(1, 1);
            layer.register_forward_hook((_, _, f) => is_grad_enabled() ? f : f * double.NaN);
            return layer;
        }
    }
}
