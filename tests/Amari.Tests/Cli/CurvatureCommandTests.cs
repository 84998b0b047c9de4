using System.Buffers.Binary;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Native;
using Amari.Ranks;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Spectrum;
using Amari.Tests.Serialization;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Cli;

/// <summary><c>amari spectrum</c> and <c>amari landscape</c> as their user meets them.</summary>
public sealed class CurvatureCommandTests
{
    private static readonly string[] Quick = ["--examples", "100", "--threads", "1"];

    /// <summary>With the white space of its output squeezed.</summary>
    private static (int Code, string Output, string Error) Run(params string[] args)
    {
        var run = Tool.Run(args);
        return run with { Output = Regex.Replace(run.Output, "\\s+", " ") };
    }

    /// <summary>Weights from elsewhere, with and without the prefix; those of another model are named.</summary>
    [Theory, InlineData("spectrum"), InlineData("landscape"), InlineData("verify")]
    public void Plain_weights_are_taken_and_those_of_another_model_refused(string command)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var model = WorkloadCatalog.Find("digits-softmax", null).CreateModel();
        string[] rest =
            command == "verify" ? ["--threads", "1"]
            : command == "spectrum" ? [.. Quick, "--top", "2", "--probes", "1", "--steps", "4"]
            : [.. Quick, "--grid", "5"];
        foreach (string prefix in (string[])["", "model."])
        {
            string file = folder.File($"weights{prefix}.safetensors");
            CheckpointTests.Plain(file, model.state_dict().ToDictionary(t => prefix + t.Key, t => t.Value));
            var (code, _, error) = Run([command, "digits-softmax", "--checkpoint", file, "--out", folder.File("out" + prefix), .. rest]);
            Assert.Equal((0, ""), (code, error));
        }
        string other = folder.File("other.safetensors");
        CheckpointTests.Plain(other, new() { ["stranger"] = zeros(2) });
        var refused = Run([command, "digits-softmax", "--checkpoint", other, "--out", folder.File("none"), .. rest]);
        Assert.Equal(2, refused.Code); // the file is an argument
        Assert.Contains("'stranger' [2]", refused.Error, StringComparison.Ordinal);
        Assert.Single(refused.Error.Trim().Split('\n'));
    }

    [Theory]
    [InlineData("spectrum --operator foo", "hessian, ggn, fisher, monte-carlo-fisher, empirical-fisher")]
    [InlineData("spectrum --layer foo", "fc1, fc2, fc3")]
    [InlineData("spectrum --top 0", "integer >= 1")]
    [InlineData("spectrum --checkpoint nowhere", "nowhere")]
    [InlineData("spectrum --checkpoint nowhere --train-budget 1s", "not both")]
    [InlineData("spectrum --checkpoint nowhere --train-steps 1", "Use --checkpoint or --train-steps, not both.")]
    [InlineData("landscape --train-steps 5 --train-budget 1s", "Use --train-steps or --train-budget, not both.")]
    [InlineData("spectrum --train-steps -1", "--train-steps is -1; it must be an integer >= 0 and <= 2147483647.")]
    [InlineData("spectrum --train-budget 10", "or 0")]
    [InlineData("landscape --plane foo", "--plane is 'foo'; it must be one of eigenvectors, random, path.")]
    [InlineData("landscape --plane random --operator hessian", "--operator needs --plane eigenvectors.")]
    [InlineData("landscape --plane 1", "--plane is '1'")]
    [InlineData("landscape --plane path --train-budget 0", "needs a training path")]
    [InlineData("landscape --plane path --train-steps 0", "needs a training path")]
    [InlineData("landscape --grid 2", "integer >= 3")]
    [InlineData("landscape --range -1", "--range is '-1'; it must be a finite number > 0.")]
    [InlineData("landscape --range wide", "--range is 'wide'")]
    [InlineData("landscape --range inf", "--range is 'inf'")]
    public void Bad_arguments_give_one_line_and_exit_code_2(string line, string expected)
    {
        using var folder = new TemporaryFolder();
        Tool.AssertRefused(expected, [.. line.Split(' '), "--out", folder.File("out")]);
        Assert.False(Directory.Exists(folder.File("out")));
    }

    [Fact]
    public void Spectrum_of_a_checkpoint_is_that_of_its_weights()
    {
        using var folder = new TemporaryFolder();
        string saved = folder.File("run"),
            json = folder.File("s.json"),
            result = folder.File("out");
        Assert.Equal(0, Run("train", "--optimizer", "adamw", "--epochs", "6", "--checkpoint", saved, "--out", folder.File("train")).Code);
        var (code, output, error) = Run([
            "spectrum",
            "--checkpoint",
            saved,
            "--layer",
            "fc3",
            "--operator",
            "ggn",
            "--top",
            "30",
            "--probes",
            "3",
            "--steps",
            "30",
            "--json",
            json,
            "--out",
            result,
            .. Quick,
        ]);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("checkpoint of step 66", output, StringComparison.Ordinal);
        Assert.Equal(66, (int)JsonNode.Parse(File.ReadAllText(json))!["trainedSteps"]!);
        Assert.Contains("100 of 1,437 training examples", output, StringComparison.Ordinal);

        // The same matrix, dense.
        using var data = new DigitsMlp().Load(null);
        using var examples = data.Train.Sample(100, 0);
        using var model = new DigitsMlp().CreateModel();
        using (var checkpoint = Amari.Serialization.Checkpoint.Open(Directory.GetFiles(saved)[0]))
            checkpoint.CopyTo(model);
        using var dense = new GaussNewton(
            new Objective(
                model,
                new Categorical(),
                examples.Batches(30),
                ParameterLayout.Of(model, n => n.StartsWith("fc3", StringComparison.Ordinal))
            )
        ).ToDense();
        double[] expected = [.. linalg.eigvalsh(dense).Elements<float>().Reverse().Select(x => (double)x)];

        var root = JsonNode.Parse(File.ReadAllText(json))!;
        Assert.Equal(File.ReadAllText(json), File.ReadAllText(Path.Combine(result, "result.json")));
        Assert.Equal((650, "ggn", "fc3"), ((int)root["dimension"]!, (string?)root["operator"], (string?)root["layer"]));
        var pairs = root["eigenvalues"]!.AsArray();
        Assert.Equal(30, pairs.Count);
        for (int i = 0; i < 30; i++)
            Assert.Equal(expected[i], (double)pairs[i]!["value"]!, (double)pairs[i]!["residual"]! + 1e-5 * expected[0]);
        Assert.InRange(
            (double)root["trace"]!["value"]! - expected.Sum(),
            -3 * (double)root["trace"]!["standardError"]!,
            3 * (double)root["trace"]!["standardError"]!
        );
        Assert.InRange((int)root["outliers"]!, 0, 15);
        var density = root["density"]!.AsArray();
        double step = (double)density[1]![0]! - (double)density[0]![0]!;
        Assert.InRange(density.Sum(p => (double)p![1]!) * step, 0.99, 1.01);

        Assert.Equal(1600, Width(Path.Combine(result, "spectrum.png")));
        Assert.Contains("<svg", File.ReadAllText(Path.Combine(result, "spectrum.svg")), StringComparison.Ordinal);
        string page = File.ReadAllText(Path.Combine(result, "report.html"));
        Assert.DoesNotMatch("<(script|link|img)[^>]+(src|href)=", page);
        Assert.Contains("figure('density'", page, StringComparison.Ordinal);
        Assert.Equal(2, Run(["spectrum", "--out", result, .. Quick]).Code); // results are not overwritten unasked
    }

    private static readonly string[] Few = ["--top", "2", "--probes", "1", "--steps", "5", .. Quick];

    [Theory]
    [InlineData("--train-steps 0", "weights at initialisation", 0)]
    [InlineData("--train-budget 0", "weights at initialisation", 0)]
    [InlineData("--train-steps 25", "trained with AdamW for 25 steps;", 25)]
    [InlineData("--train-budget 50ms", "trained with AdamW for 0.05 s: ", null)]
    public void Spectrum_trains_first_as_requested(string training, string expected, int? steps)
    {
        using var folder = new TemporaryFolder();
        var (code, output, _) = Run([
            "spectrum",
            .. training.Split(' '),
            "--operator",
            "empirical-fisher",
            "--out",
            folder.File("b"),
            .. Few,
        ]);
        Assert.Equal(0, code);
        Assert.Contains(expected, output, StringComparison.Ordinal);
        Assert.Contains("compute more with --top", output, StringComparison.Ordinal);
        var root = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.File("b"), "result.json")))!;
        int trained = (int)root["trainedSteps"]!;
        Assert.True(steps is { } n ? trained == n : trained > 0);
        Assert.Contains($"training steps {trained}", output, StringComparison.Ordinal);
        Assert.Contains("training steps", File.ReadAllText(Path.Combine(folder.File("b"), "report.html")), StringComparison.Ordinal);
        Assert.Null(root["densityError"]![0]); // one probe has no error
    }

    /// <summary>The default: until the target, at most a number of steps. No clock is in it, so all numbers are the same on a machine with
    /// other processes.</summary>
    [Theory, InlineData("digits-softmax", "to the target loss 0.01"), InlineData("digits-conv", "to the target accuracy 0.92")]
    public void Spectrum_is_the_same_on_a_busy_machine(string workload, string origin)
    {
        using var folder = new TemporaryFolder();
        string idle = Result("idle");
        using (new Load())
            Assert.Equal(idle, Result("busy"));
        var root = JsonNode.Parse(idle)!;
        Assert.Contains(origin, (string)root["weights"]!, StringComparison.Ordinal);
        Assert.InRange((int)root["trainedSteps"]!, 100, 1000);

        string Result(string name)
        {
            Assert.Equal(0, Run(["spectrum", workload, "--out", folder.File(name), .. Few]).Code);
            return File.ReadAllText(Path.Combine(folder.File(name), "result.json"));
        }
    }

    /// <summary>Step by step the training of a run with the same seed.</summary>
    [Fact]
    public void Subjects_train_as_runs_do()
    {
        using var scope = NewDisposeScope();
        using var trainer = new Trainer(new DigitsMlp(), null);
        List<(LossPoint Point, Tensor Weights)> expected = [];
        trainer.Train(
            new("adamw", new Dictionary<string, string>()),
            7,
            Budget.OfEpochs(3),
            evaluated: (model, point) => expected.Add((point, ParameterLayout.Of(model, _ => true).Read()))
        );
        using var subject = new Subject(
            new Trainer(new DigitsMlp(), null),
            new DigitsMlp().CreateModel(),
            trainer.Data.Train.Sample(10, 0),
            10,
            null
        );
        var reports = new List<RunProgress>();
        var training = new SubjectTraining(subject, 7, new(33), 8, new ImmediateProgress<RunProgress>(reports.Add));
        Assert.True(training.Run(default));
        Assert.Equal(33, subject.TrainedSteps);
        Assert.Equal(expected.Select(e => (e.Point.Step, e.Point.Loss)), subject.Path.Select(p => (p.Point.Step, p.Point.Loss)));
        foreach (var (e, p) in expected.Zip(subject.Path))
            Assert.True(e.Weights.equal(p.Weights).all().ToBoolean());
        Assert.True(subject.Objective.Parameters.Read().equal(expected[^1].Weights).all().ToBoolean());
        Assert.Equal((RunStatus.Completed, 1.0), (reports[^1].Status, reports[^1].Fraction));
    }

    [Theory]
    [InlineData("eigenvectors")]
    [InlineData("random")]
    [InlineData("path")]
    public void Landscape_has_the_loss_at_the_weights_and_their_path(string plane)
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("l.json"),
            result = folder.File("out");
        var (code, output, error) = Run([
            "landscape",
            "--plane",
            plane,
            "--train-steps",
            "60",
            "--grid",
            "5",
            "--json",
            json,
            "--out",
            result,
            .. Quick,
        ]);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("in the middle", output, StringComparison.Ordinal);
        var root = JsonNode.Parse(File.ReadAllText(json))!;
        Assert.Equal((double)root["loss"]!, (double)root["losses"]![2]![2]!, 1e-5);
        Assert.True((double)root["a"]![4]! > 0);
        Assert.Equal(60, (int)root["trainedSteps"]!);
        var path = root["path"]!.AsArray();
        Assert.Equal([0, 43, 60], path.Select(p => (int)p!["step"]!));
        Assert.Equal((0.0, 0.0), (Math.Round((double)path[^1]!["a"]!, 5), Math.Round((double)path[^1]!["b"]!, 5)));
        if (plane == "random")
            Assert.Equal(1, (double)root["a"]![4]!);
        else
            Assert.True(Math.Abs((double)path[0]!["a"]!) <= (double)root["a"]![4]!);
        Assert.Equal(1600, Width(Path.Combine(result, "landscape.png")));
        Assert.Contains("<svg", File.ReadAllText(Path.Combine(result, "landscape.svg")), StringComparison.Ordinal);
        Assert.Contains("figure('plot'", File.ReadAllText(Path.Combine(result, "report.html")), StringComparison.Ordinal);
    }

    [Fact]
    public void Landscape_of_initial_weights_has_no_path()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(
            0,
            Run([
                "landscape",
                "--train-steps",
                "0",
                "--grid",
                "3",
                "--range",
                "0.25",
                "--layer",
                "fc2",
                "--out",
                folder.File("o"),
                .. Quick,
            ]).Code
        );
        var root = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.File("o"), "result.json")))!;
        Assert.Empty(root["path"]!.AsArray());
        Assert.Equal([-0.25, 0, 0.25], root["a"]!.AsArray().Select(x => (double)x!));
    }

    [Fact]
    public void A_stopped_measurement_still_makes_its_report()
    {
        using var folder = new TemporaryFolder();
        var largest = new Amari.Spectrum.Eigenpairs([3, 2], [0.1, 0.2], null, 4, Amari.Spectrum.LanczosStatus.Interrupted);
        var result = new SpectrumResult(100, largest, null, null, null, "Hutchinson", Amari.Spectrum.Outliers.Of([3, 2]), true)
        {
            Workload = "w",
            Operator = "hessian",
            Title = "Hessian",
        };
        using var output = new StringWriter();
        Assert.Equal(1, SpectrumReport.Write(result, ResultFolder.Prepare(folder.File("o"), false, "x", null), output));
        Assert.Contains("stopped", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(1200, Width(Path.Combine(folder.File("o"), "spectrum.png")));
        var none = result with { Largest = new([], [], null, 1, Amari.Spectrum.LanczosStatus.NotFinite), Interrupted = false };
        Assert.Equal(1, SpectrumReport.Write(none, ResultFolder.Prepare(folder.File("p"), false, "x", null), output));
        var half = new LandscapeResult(
            "w",
            null,
            "",
            "",
            "",
            ["a", "b"],
            [-1, 0, 1],
            [-1, 0, 1],
            new double[,]
            {
                { 1, 2, 3 },
                { 4, double.NaN, double.NaN },
                { double.NaN, double.NaN, double.NaN },
            },
            1,
            [],
            true
        );
        Assert.Equal(1, LandscapeReport.Write(half, ResultFolder.Prepare(folder.File("q"), false, "x", null), output));
    }

    private static int Width(string png)
    {
        byte[] bytes = File.ReadAllBytes(png);
        Assert.Equal("PNG"u8, bytes.AsSpan(1, 3));
        return BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(16));
    }
}
