using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Ranks;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>A comparison that is stopped at some moment, read back from text, and continued, ends as one that was not.</summary>
public sealed class SavedComparisonTests : IDisposable
{
    private readonly int _threads = get_num_threads();

    public SavedComparisonTests() => set_num_threads(1); // the model is small

    public void Dispose() => set_num_threads(_threads);

    private static readonly Dictionary<string, string> None = [];
    private static readonly OptimizerChoice[] Choices = [new("schedulefree-adamw", None), new("kfac", None)];

    /// <summary>Stopped in a trial, and in a run.</summary>
    [Theory, InlineData(3, 0.5), InlineData(10, 0.6)]
    public void It_ends_bit_for_bit_as_one_that_was_not_stopped(int part, double share)
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new DigitsSoftmax(), null);
        var whole = Compare(null, null, CancellationToken.None);
        Assert.Equal((8, 4), (whole.Trials.Count, whole.Runs.Count));

        using var stop = new CancellationTokenSource();
        var seen = new HashSet<string>();
        var stopped = Compare(
            null,
            new Collect<RunProgress>(p =>
            {
                seen.Add($"{p.Optimizer} {p.Seed} {p.Stage}");
                if (seen.Count >= part && p.Fraction >= share)
                    stop.Cancel();
            }),
            stop.Token
        );
        Assert.True(stopped.Trials.Count + stopped.Runs.Count < 12 || stopped.Runs[^1].Status == RunStatus.Interrupted);
        var earlier = SavedComparison.Read(SavedComparison.Write(stopped));
        var finished = new List<int>();
        var continued = Compare(
            earlier,
            null,
            CancellationToken.None,
            new Collect<BenchmarkResult>(c => finished.Add(c.Runs.Count + c.Trials.Count))
        );
        int kept =
            earlier.Runs.Count(r => r.Status != RunStatus.Interrupted) + earlier.Trials.Count(t => t.Status != RunStatus.Interrupted);
        Assert.InRange(kept, 1, 11);
        Assert.Equal(Enumerable.Range(kept + 1, 12 - kept), finished); // nothing is done twice
        Assert.Equal(
            whole.Trials.Select(t => (t.Optimizer, t.Loss, t.Status)),
            continued.Trials.Select(t => (t.Optimizer, t.Loss, t.Status))
        );
        Assert.Equal(whole.Runs.Select(Text), continued.Runs.Select(Text));
        Assert.False(Directory.Exists(folder.File("unfinished")));

        BenchmarkResult Compare(
            BenchmarkResult? earlier,
            IProgress<RunProgress>? progress,
            CancellationToken stop,
            IProgress<BenchmarkResult>? finished = null
        ) =>
            OptimizerBenchmark.Compare(
                trainer,
                Choices,
                [0, 1],
                Budget.OfEpochs(16),
                3,
                progress,
                stop,
                finished: finished,
                earlier: earlier,
                checkpoint: new(folder.File("unfinished"), earlier is not null, TimeSpan.FromMilliseconds(2))
            );

        static string Text(TrainingRun r) =>
            JsonSerializer.Serialize(
                new
                {
                    r.Optimizer,
                    r.Seed,
                    r.Steps,
                    r.Status,
                    r.Options,
                    r.FinalLoss,
                    r.FinalMetric,
                    r.StepsToTarget,
                    r.Parameters,
                    r.StateBytes,
                    r.Coverage,
                    Losses = r.Losses.Select(l => (double[])[l.Step, l.Loss]),
                    BestStep = r.Best?.Step,
                }
            );
    }

    /// <summary>The weight initialisation was called Start when comparisons were first saved.</summary>
    [Fact]
    public void Earlier_name_of_the_initialisation_is_read()
    {
        var run = Reporting.AnswerTests.Make("sgd", 0, null, null, 0.5) with { WeightInit = WeightInit.Sparse };
        string text = SavedComparison.Write(new("w", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), [run], []));
        Assert.Contains("\"Start\":", text, StringComparison.Ordinal);
        Assert.Equal(WeightInit.Sparse, SavedComparison.Read(text).Runs[0].WeightInit);
    }

    [Fact]
    public void Text_keeps_every_number_failure_and_measurement()
    {
        using var trainer = new Trainer(new DigitsSoftmax(), null);
        var run = trainer.Train(new("kfac", None), 0, Budget.OfEpochs(3), monitor: new() { Examples = 32 });
        var failed = run with
        {
            Status = RunStatus.Failed,
            Failure = new InvalidOperationException("no\nluck"),
            FinalLoss = double.NaN,
            FinalMetric = double.PositiveInfinity,
            Monitor = null,
        };
        var comparison = new BenchmarkResult(
            "w",
            "m",
            new("loss", 0.1),
            Budget.OfSeconds(0.1),
            [run, failed],
            [new("kfac", run.Options, Budget.OfEpochs(3), double.NaN) { Status = RunStatus.Diverged }]
        );
        var read = SavedComparison.Read(SavedComparison.Write(comparison));
        Assert.Equal(SavedComparison.Write(comparison with { Runs = [run] }), SavedComparison.Write(read with { Runs = [read.Runs[0]] }));
        Assert.Equal(
            (comparison.Budget, comparison.Target, comparison.Trials[0].Budget),
            (read.Budget, read.Target, read.Trials[0].Budget)
        );
        Assert.Equal(Amari.Reporting.ResultJson.Of([comparison]), Amari.Reporting.ResultJson.Of([read]));
        Assert.Equal(run.Losses, read.Runs[0].Losses);
        Assert.NotEmpty(read.Runs[0].Monitor!.Rows);
        Assert.True(double.IsNaN(read.Runs[1].FinalLoss));
        Assert.Throws<InvalidDataException>(() => SavedComparison.Read("{\"runs\": 3}"));
    }

    [Theory, InlineData("Runs"), InlineData("Trials"), InlineData("Losses"), InlineData("Optimizer"), InlineData("Target")]
    public void A_part_that_is_null_is_refused(string part)
    {
        var run = Reporting.AnswerTests.Make("sgd", 0, null, null, 0.5);
        var json = JsonNode.Parse(SavedComparison.Write(new("w", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), [run], [])))!;
        var parent = json[part] is null ? json["Runs"]![0]! : json;
        parent[part] = parent[part] is JsonArray && parent == json ? new JsonArray(null, null) : null;
        Assert.Throws<InvalidDataException>(() => SavedComparison.Read(json.ToJsonString()));
    }
}
