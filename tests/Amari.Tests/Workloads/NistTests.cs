using System.Text.Json.Nodes;
using Amari.LeastSquares;
using Amari.Tests.Cli;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;
using Amari.Workloads.Data;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Workloads;

/// <summary>The regressions of NIST as a workload: settings, training, reports, files of one's own.</summary>
public sealed class NistTests
{
    private static readonly Dictionary<string, string> None = [];

    [Fact]
    public void Settings_choose_the_problem_and_the_start()
    {
        var workload = new Nist().With(new Dictionary<string, string> { ["Problem"] = "boxbod", ["start"] = "2" });
        Assert.Equal(["BoxBOD", "2"], workload.SettingValues.Values);
        using var model = (CurveModel)workload.CreateModel();
        Assert.Equal([100, 0.75], Amari.Native.TensorElements.Elements<double>(model.B));
        using var data = workload.Load(null);
        Assert.Equal((6, 6), (data.Train.Count, workload.BatchSize));
        Assert.Equal(new Target("digits", 6), workload.Target);
    }

    [Theory]
    [InlineData("Misra1a", 1)]
    [InlineData("MGH17", 1)]
    [InlineData("Nelson", 1)]
    [InlineData("ENSO", 2)]
    public void Training_finds_the_certified_digits_and_stays_there(string problem, int start)
    {
        using var trainer = new Trainer(new Nist(problem, start), null);
        var run = trainer.Train(new("levenberg-marquardt", None), 0, Budget.OfEpochs(400));
        Assert.Equal(RunStatus.Completed, run.Status);
        Assert.NotNull(run.StepsToTarget);
        Assert.InRange(run.FinalMetric, 6.5, 11);
        Assert.Equal(6, run.Table!.Heads.Count);
        Assert.Equal(NistProblem.Find(problem).Certified.Count, run.Table.Rows.Count);
        Assert.All(run.HeldOut.Where(p => p.Step > run.StepsToTarget), p => Assert.InRange(p.Metric, 6, 11));
    }

    [Fact]
    public void A_run_ends_when_no_step_would_change_anything()
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new Nist("Misra1a", 1), null);
        var saved = new CheckpointOptions(folder.Path, false, TimeSpan.FromHours(1));
        var run = trainer.Train(new("levenberg-marquardt", None), 0, Budget.OfEpochs(2000), checkpoint: saved);
        Assert.Equal(RunStatus.Completed, run.Status);
        Assert.InRange(run.Steps, 5, 50);
        Assert.InRange(run.FinalMetric, 6.5, 11);
        Assert.Equal(run.Steps, run.Losses[^1].Step);
        Assert.StartsWith("Converged: ", run.Ending, StringComparison.Ordinal);
        Assert.Contains(run.Events, e => e.Step == run.Steps && e.Message == run.Ending);
        var again = trainer.Train(new("levenberg-marquardt", None), 0, Budget.OfEpochs(2000), checkpoint: saved with { Resume = true });
        Assert.Equal((run.Steps, run.Ending), (again.Steps, again.Ending));
        Assert.Equal(40, trainer.Train(new("adamw", None), 0, Budget.OfEpochs(40)).Steps);
    }

    [Theory, InlineData("adamw"), InlineData("lbfgs"), InlineData("kfac")]
    public void Other_optimizers_train_it_too(string optimizer)
    {
        using var trainer = new Trainer(new Nist("Lanczos3", 1), null);
        var run = trainer.Train(new(optimizer, None), 0, Budget.OfEpochs(30));
        Assert.Equal(RunStatus.Completed, run.Status);
        Assert.True(run.FinalLoss < run.Losses[0].Loss, $"{run.Losses[0].Loss} before, {run.FinalLoss} after");
        Assert.InRange(run.FinalMetric, -10, 3);
    }

    private const string Misra1b = """
        name Misra1b
        level lower
        response y
        model b1 * (1-(1+b2*x1/2)^(-2))
        start1 500 0.0001
        start2 300 0.0002
        certified 3.3799746163E+02 3.9039091287E-04
        deviation 3.1643950207E+00 4.2547321834E-06
        rss 7.5464681533E-02
        data 14 y x1
        10.07 77.6
        14.73 114.9
        17.94 141.1
        23.93 190.8
        29.61 239.9
        35.18 289.0
        40.02 332.8
        44.82 378.4
        50.76 434.8
        55.05 477.3
        61.01 536.8
        66.40 593.1
        75.47 689.1
        81.78 760.0
        """;

    [Fact]
    public void A_file_is_trained_by_levenberg_marquardt_and_reported()
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("misra1b.txt"),
            result = folder.File("o");
        File.WriteAllText(file, Misra1b);
        var (code, output, error) = Run(
            "train",
            "nist",
            "--set",
            $"problem={file}",
            "--set",
            "start=1",
            "--epochs",
            "100",
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("3.3799746163E+02", output, StringComparison.Ordinal);
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!;
        Assert.Empty(ResultSchema.Faults(json));
        var run = json["runs"]![0]!;
        Assert.Equal("levenberg-marquardt", (string)run["optimizer"]!);
        Assert.Equal((file, 1), ((string)json["workloadSettings"]!["problem"]!, (int)json["workloadSettings"]!["start"]!));
        Assert.InRange((double)run["finalMetric"]!, 8, 11);
        Assert.Contains($"ended before its budget was used, after {run["steps"]} steps. Converged: ", (string)json["answer"]!);
        Assert.StartsWith("Converged: ", (string)run["ending"]!, StringComparison.Ordinal);
        Assert.Contains("no schedule: the learning rate is the method's own", File.ReadAllText(Path.Combine(result, "report.html")));
        string[] row = [.. run["table"]!["rows"]![1]!.AsArray().Select(c => (string)c!)];
        Assert.Equal(["b2", "3.9039091287E-04", "4.2547E-06", "4.2547E-06"], [row[0], row[1], .. row[4..]]);
        Assert.StartsWith("3.9039091", row[2], StringComparison.Ordinal);
        Assert.Contains("certified standard error", File.ReadAllText(Path.Combine(result, "report.html")), StringComparison.Ordinal);
        Assert.Equal(0, Run("report", result, "--out", folder.File("r")).Code);
    }

    [Fact]
    public void Bad_settings_are_refused()
    {
        AssertRefused("The problem is 'nothing'; it must be one of BoxBOD, ", "train", "nist", "--set", "problem=nothing");
        AssertRefused("start is 3; it must be 1 or 2.", "train", "nist", "--set", "start=3");
        AssertRefused("start is 'one'; it must be 1 or 2.", "compare", "nist", "--set", "start=one");
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("bad.txt"), Misra1b.Replace("b2*x1", "b2*x7", StringComparison.Ordinal));
        AssertRefused(
            "bad.txt, line 4: the model is no formula: 'x7' is not known; there are b1, b2, x1, pi",
            "train",
            "nist",
            "--set",
            $"problem={folder.File("bad.txt")}"
        );
    }
}
