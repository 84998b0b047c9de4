using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Solvers;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>The tool as its user meets it.</summary>
public sealed class CommandLineTests
{
    public static TheoryData<string, string> BadArguments =>
        new()
        {
            { "compare no-such", "digits-mlp" },
            { "compare --optimizers sgd,foo", "sgd, adam, adamw, lion, adamw-bf16" },
            { "compare --budget 10", "60s" },
            { "compare --budget -3s", "it must be a time > 0" },
            { "compare --epochs 0", "integer >= 1" },
            { "compare --seeds 0", "integer >= 1" },
            { "compare --tune -1", "integer >= 0" },
            { "compare --budget 1s --epochs 2", "not both" },
            { "compare --assembly missing.dll", "missing.dll" },
            { "compare --nonsense", "--nonsense" },
            { "compare fashion-conv --data /nowhere", "--data is '/nowhere'; this folder does not exist" },
            { "compare fashion-conv --data /dev", "dataset-fashion-mnist" },
            { "train --optimizer kfac --set damping=-1", "Damping is -1; it must be a finite number > 0." },
            { "train --optimizer kfac --set foo=1", "Damping" },
            { "train --optimizer kfac --set damping", "NAME=VALUE" },
            { "train --lr abc", "a number" },
            {
                "train digits-mlp --optimizer newton",
                "17,226 parameters need 3.3 GiB, above the limit of 1.0 GiB (MaxDenseBytes); use NewtonCg"
            },
            { "compare digits-mlp --optimizers adamw,saddle-free-newton", "use NewtonCg" },
            { "train digits-mlp --optimizer natural-gradient --set solver=dense", "ConjugateGradient" },
            { "train --optimizer newton-cg --set radius=0", "Radius is 0; it must be a finite number > 0." },
            { "train --resume", "--checkpoint" },
            { "train --start he", "The weight initialisation is 'he'; it must be one of workload, sparse, glorot, pytorch." },
            { "compare --start 3", "The weight initialisation is '3'" },
            { "verify --checkpoint nowhere", "There is no checkpoint 'nowhere'" },
            { "train --threads 0", "integer >= 1" },
            { "train --threads 100000", "integer >= 1 and <= " },
            { "verify no-such", "digits-mlp" },
            { "verify --examples 0", "integer >= 1" },
            { "verify --budget 3s", "Unrecognized" },
            { "verify --assembly missing.dll", "missing.dll" },
            { "plan --optimizers nope", "'nope'" },
            { "plan --optimizers ,", "must name at least one optimizer" },
            { "plan --calibration 0s", "--calibration is '0s'" },
            { "train --monitor sharpness,foo", "is 'foo'; it must be one of sharpness, spectrum, noise, kl, factors" },
            { "compare --monitor ,", "sharpness, spectrum, noise, kl, factors" },
            { "train --monitor kl --monitor-share 100%", "--monitor-share is '100%'" },
            { "train --monitor kl --monitor-examples 1", "integer >= 2" },
            { "train --monitor-share 10%", "needs --monitor" },
            { "frobnicate", "frobnicate" },
        };

    /// <summary>As a variable of the shell gives that is not set.</summary>
    [Theory, InlineData("--json", "file"), InlineData("--assembly", "file"), InlineData("--checkpoint", "folder")]
    public void An_empty_name_is_refused(string option, string what) =>
        AssertRefused($"{option} is ''; it must name a {what}.", "train", "--epochs", "1", option, "");

    [Theory, MemberData(nameof(BadArguments))]
    public void Bad_arguments_give_one_line_and_exit_code_2(string line, string expected)
    {
        using var folder = new TemporaryFolder();
        string here = Environment.CurrentDirectory;
        Environment.CurrentDirectory = folder.Path;
        try
        {
            AssertRefused(expected, line.Split(' '));
            Assert.Empty(
                Directory
                    .EnumerateFileSystemEntries(folder.Path)
                    .SelectMany(e => Directory.Exists(e) ? Directory.EnumerateFiles(e, "*", SearchOption.AllDirectories) : [e])
            );
        }
        finally
        {
            Environment.CurrentDirectory = here;
        }
    }

    [
        Theory,
        InlineData("verify", "verify"),
        InlineData("plan", "plan"),
        InlineData("spectrum", "measure"),
        InlineData("landscape", "measure")
    ]
    public void A_model_without_parameters_is_refused(string command, string purpose)
    {
        using var folder = new TemporaryFolder();
        string assembly = EmittedWorkloads.WriteDerived(folder.Path, "empty", typeof(EmptyWorkload)),
            result = folder.File("o");
        Tool.AssertRefused(
            $"has no parameters that are trained: there is nothing to {purpose}.",
            command,
            "--assembly",
            assembly,
            "--out",
            result
        );
    }

    [Fact]
    public void Results_say_what_a_run_had_of_the_processors()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(
            0,
            Tool.Run(
                "train",
                "digits-softmax",
                "--optimizer",
                "adamw",
                "--epochs",
                "5",
                "--out",
                folder.File("o"),
                "--json",
                folder.File("o.json")
            ).Code
        );
        var run = System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(folder.File("o.json")))!["runs"]![0]!;
        Assert.InRange((double)run["cpuOverWall"]!, 1e-3, 2 * Environment.ProcessorCount); // other tests run in this process
        if (OperatingSystem.IsLinux())
            Assert.InRange((double)run["waitedForCpu"]!, 0, 1);
    }

    [Fact]
    public void Checkpoints_that_do_not_fit_are_bad_arguments_and_leave_no_folder()
    {
        using var folder = new TemporaryFolder();
        string here = Environment.CurrentDirectory;
        Environment.CurrentDirectory = folder.Path;
        try
        {
            File.WriteAllText("file", "");
            AssertRefused("'file' is a file", "train", "--epochs", "1", "--checkpoint", "file");
            AssertRefused("cannot be written to", "train", "--epochs", "1", "--checkpoint", Path.Combine("file", "below"));
            Assert.False(Directory.Exists("out"));
            string[] run = ["train", "--optimizer", "sgd", "--epochs", "1", "--checkpoint", "saved"];
            Assert.Equal(0, Run(run).Code);
            AssertRefused("--resume", run);
            AssertRefused("LearningRate", [.. run, "--resume", "--lr", "0.03"]);
            AssertRefused("seed 0", [.. run, "--resume", "--seed", "5"]);
            AssertRefused("optimizer sgd", ["train", "--optimizer", "adamw", "--epochs", "1", "--checkpoint", "saved", "--resume"]);
            Assert.Equal(["train-digits-mlp-001"], Directory.GetDirectories("out").Select(f => Path.GetFileName(f)));
            foreach (string file in Directory.GetFiles("saved"))
                File.WriteAllBytes(file, File.ReadAllBytes(file)[..^1]);
            var (code, _, error) = Run([.. run, "--resume"]);
            Assert.Equal(1, code); // the arguments are right
            Assert.Contains("damaged", error, StringComparison.Ordinal);
            using (var bare = new CheckpointDirectory("bare"))
                bare.Save(1, new Dictionary<string, Tensor>(), new Dictionary<string, string>());
            (code, _, error) = Run(["train", "--optimizer", "sgd", "--epochs", "1", "--checkpoint", "bare", "--resume"]);
            Assert.Equal(1, code);
            Assert.Contains("lacks 'run'", Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
            Assert.Single(Directory.GetDirectories("out"));
        }
        finally
        {
            Environment.CurrentDirectory = here;
        }
    }

    [Theory]
    [InlineData("train", "The run failed: The table is upside down. (ArgumentException", 1)]
    [InlineData("compare", "12 of 12 runs failed, first sgd with seed 0: The table is upside down. (ArgumentException", 12)]
    [InlineData("spectrum", "The run failed: The table is upside down. (ArgumentException", null)]
    public void What_a_workload_throws_while_it_trains_is_a_failed_run(string command, string expected, int? runs)
    {
        using var folder = new TemporaryFolder();
        string assembly = EmittedWorkloads.WriteDerived(folder.Path, "throwing", typeof(ThrowingWorkload)),
            result = folder.File("o");
        var (code, _, error) = Run(command, "--assembly", assembly, "--out", result);
        Assert.Equal(1, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
        Assert.Equal(runs is not null, Directory.Exists(result));
        if (runs is null)
            return;
        var all = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["runs"]!.AsArray();
        Assert.Equal(runs, all.Count);
        foreach (var run in all)
        {
            Assert.Equal(
                ("failed", "ArgumentException: The table is upside down.", 0),
                ((string)run!["status"]!, (string)run["failure"]!, (long)run["steps"]!)
            );
            Assert.Single(run["losses"]!.AsArray()); // the one before the first step
        }
    }

    [Fact]
    public void Train_reports_a_run_that_came_apart_and_keeps_its_best_weights()
    {
        using var folder = new TemporaryFolder();
        string saved = folder.File("saved"),
            result = folder.File("o"),
            best = Path.Combine(saved, "best.safetensors");
        var (code, output, error) = Run(
            "train",
            "digits-mlp",
            "--optimizer",
            "sgd",
            "--lr",
            "3",
            "--epochs",
            "3",
            "--checkpoint",
            saved,
            "--out",
            result
        );
        Assert.Equal(1, code);
        Assert.Matches(@"^The run came apart: best \S+ at step \d+, ended at \S+\.$", error.Trim());
        Assert.Contains("came apart", output, StringComparison.Ordinal);
        Assert.Contains("Best weights: loss ", output, StringComparison.Ordinal);
        var run = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["runs"]![0]!;
        Assert.Equal("came-apart", (string?)run["status"]);
        Assert.True((double)run["best"]!["loss"]! < (double)run["finalLoss"]!);
        Assert.Equal(0, Run("verify", "digits-mlp", "--examples", "3", "--checkpoint", best, "--out", folder.File("v")).Code);
        Assert.Contains("weights of step", File.ReadAllText(folder.File(Path.Combine("v", "verification.txt"))), StringComparison.Ordinal);
        Assert.Equal(
            0,
            Run(
                "spectrum",
                "digits-mlp",
                "--examples",
                "64",
                "--top",
                "2",
                "--probes",
                "1",
                "--steps",
                "5",
                "--checkpoint",
                best,
                "--out",
                folder.File("s")
            ).Code
        );
        Assert.Equal(
            0,
            Run("landscape", "digits-mlp", "--examples", "64", "--grid", "3", "--checkpoint", best, "--out", folder.File("l")).Code
        );
    }

    [Fact]
    public void The_start_is_chosen_recorded_and_kept()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("train.json");
        string[] run =
        [
            "train",
            "digits-mlp",
            "--optimizer",
            "adamw",
            "--epochs",
            "1",
            "--checkpoint",
            folder.File("saved"),
            "--out",
            folder.File("o"),
            "--overwrite",
            "--json",
            json,
        ];
        var (code, output, error) = Run([.. run, "--start", "pytorch"]);
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("; initialisation pytorch", output, StringComparison.Ordinal);
        Assert.Equal("pytorch", (string?)JsonNode.Parse(File.ReadAllText(json))!["runs"]![0]!["start"]);
        Assert.Contains(
            "weight initialisation pytorch",
            File.ReadAllText(folder.File(Path.Combine("o", "report.html"))),
            StringComparison.Ordinal
        );
        AssertRefused("start pytorch, but this run has glorot", [.. run, "--start", "glorot", "--resume"]);
        Assert.Equal(0, Run([.. run, "--start", "pytorch", "--resume"]).Code);
    }

    [Fact]
    public void Compare_leaves_table_answer_json_figures_and_report()
    {
        using var folder = new TemporaryFolder();
        string json = Path.Combine(folder.Path, "result", "copy.json"),
            result = Path.Combine(folder.Path, "out");
        var (code, output, error) = Run(
            "compare",
            "--optimizers",
            "adamw,kfac",
            "--epochs",
            "3",
            "--seeds",
            "2",
            "--json",
            json,
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("final loss", output, StringComparison.Ordinal);
        Assert.Contains("No optimizer reached", Regex.Replace(output, "\\s+", " "), StringComparison.Ordinal);

        var root = JsonNode.Parse(File.ReadAllText(json))!;
        Assert.Equal(File.ReadAllText(json), File.ReadAllText(Path.Combine(result, "result.json")));
        Assert.Equal("digits-mlp", (string?)root["workload"]);
        Assert.Equal("loss", (string?)root["target"]!["metric"]);
        var runs = root["runs"]!.AsArray();
        Assert.Equal(4, runs.Count);
        foreach (var run in runs)
        {
            foreach (
                string name in (string[])
                    [
                        "optimizer",
                        "options",
                        "seed",
                        "steps",
                        "seconds",
                        "losses",
                        "stepsToTarget",
                        "secondsToTarget",
                        "finalLoss",
                        "finalMetric",
                        "millisecondsPerStep",
                        "parameters",
                        "stateBytes",
                        "stateBytesPerParameter",
                        "coverage",
                    ]
            )
                Assert.True(run!.AsObject().ContainsKey(name), name);
            Assert.Null(run!["secondsToTarget"]);
            Assert.Equal(3, run["losses"]![0]!.AsArray().Count);
            Assert.Equal(6, run["coverage"]!.AsArray().Count);
        }
        Assert.Contains(runs, r => (string?)r!["coverage"]![0]!["block"] == "K-FAC Linear");

        foreach (string figure in (string[])["loss-seconds", "loss-steps"])
        {
            byte[] png = File.ReadAllBytes(Path.Combine(result, figure + ".png"));
            Assert.Equal("PNG"u8, png.AsSpan(1, 3));
            Assert.Equal(1200, System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)));
            Assert.Contains("<svg", File.ReadAllText(Path.Combine(result, figure + ".svg")), StringComparison.Ordinal);
        }
        string page = File.ReadAllText(Path.Combine(result, "report.html"));
        Assert.DoesNotMatch("<(script|link|img)[^>]+(src|href)=", page);
        Assert.Contains("Plotly.react", page, StringComparison.Ordinal);
        Assert.Contains("K-FAC Linear", page, StringComparison.Ordinal);

        Assert.Equal(2, Run("compare", "--epochs", "1", "--out", result).Code); // results are not overwritten unasked
    }

    [Fact]
    public void Compare_shows_the_state_bytes_of_each_parameter()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("result.json"),
            result = folder.File("o");
        (string Name, double Bytes)[] expected =
        [
            ("adamw", 8),
            ("adamw-bf16", 4),
            ("adamw-8bit", 2.125),
            ("lion", 4),
            ("lion-bf16", 2),
            ("lion-8bit", 1.0625),
        ];
        var (code, output, error) = Run(
            "compare",
            "digits-mlp",
            "--optimizers",
            string.Join(',', expected.Select(e => e.Name)),
            "--epochs",
            "1",
            "--seeds",
            "1",
            "--json",
            json,
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        string page = File.ReadAllText(Path.Combine(result, "report.html"));
        Assert.Contains("<th>state,\n/param</th>", page, StringComparison.Ordinal);
        Assert.Contains("/param", output, StringComparison.Ordinal);
        foreach (var (run, (name, bytes)) in JsonNode.Parse(File.ReadAllText(json))!["runs"]!.AsArray().Zip(expected))
        {
            double shown = (double)run!["stateBytesPerParameter"]!;
            Assert.Equal((name, 17_226), ((string)run["optimizer"]!, (long)run["parameters"]!));
            Assert.Equal(bytes, shown, 0.01); // the last block of a tensor is not full
            Assert.Equal((double)(long)run["stateBytes"]! / 17_226, shown, 12);
            string cell = $"{Amari.Reporting.Number.Short(shown)} B";
            Assert.Matches($@"│ {Regex.Escape(name)} .*\n.*│ {Regex.Escape(cell)} *│", output);
            Assert.Matches($@"</span>{Regex.Escape(name)}</td>.*\n?{Regex.Escape(cell)}</td></tr>", page);
        }
    }

    [Fact]
    public void Train_writes_the_same_object_with_one_run()
    {
        using var folder = new TemporaryFolder();
        string json = Path.Combine(folder.Path, "train.json");
        var (code, _, error) = Run(
            "train",
            "digits-conv",
            "--optimizer",
            "kfac",
            "--lr",
            "0.05",
            "--set",
            "damping=1e-2",
            "--set",
            "fallback.lr=1e-3",
            "--epochs",
            "1",
            "--json",
            json,
            "--out",
            Path.Combine(folder.Path, "o")
        );
        Assert.Equal((0, ""), (code, error));
        var run = JsonNode.Parse(File.ReadAllText(json))!["runs"]!.AsArray().Single()!;
        Assert.Equal(
            (0.05, 0.01, 0.001),
            (
                (double)run["options"]!["LearningRate"]!,
                (double)run["options"]!["Damping"]!,
                (double)run["options"]!["Fallback.LearningRate"]!
            )
        );
        Assert.Equal("K-FAC Conv2d", (string?)run["coverage"]![0]!["block"]);
    }

    [Fact]
    public void Train_tells_what_a_curvature_budget_chose()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("train.json"),
            result = folder.File("o");
        var (code, output, error) = Run(
            "train",
            "digits-mlp",
            "--optimizer",
            "kfac",
            "--set",
            "CurvatureTimeFraction=0.3",
            "--epochs",
            "2",
            "--json",
            json,
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        var run = JsonNode.Parse(File.ReadAllText(json))!["runs"]!.AsArray().Single()!;
        var choice = run["curvatureChoice"]!;
        Assert.Equal(0.3, (double)choice["budget"]!);
        Assert.InRange((double)choice["share"]!, 0, 1);
        Assert.InRange((int)choice["factorInterval"]!, 1, 20);
        Assert.InRange((int)choice["inverseInterval"]!, (int)choice["factorInterval"]!, 1000);
        Assert.InRange((long)choice["factorExamples"]!, 32, 1 << 20);
        string said =
            $"curvature budget 30 %: factors every {choice["factorInterval"]} steps from {choice["factorExamples"]} examples, inverses "
            + $"every {choice["inverseInterval"]}; it took";
        Assert.Contains(
            $"kfac, seed 0: {said}",
            output.ReplaceLineEndings(" ").Replace("  ", " ", StringComparison.Ordinal),
            StringComparison.Ordinal
        );
        Assert.Contains(said, File.ReadAllText(Path.Combine(result, "report.html")), StringComparison.Ordinal);
        Assert.Contains(run["events"]!.AsArray(), e => ((string)e!["message"]!).StartsWith(said, StringComparison.Ordinal));
    }

    [Fact]
    public void Verify_tells_what_agrees_and_leaves_json()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("verify.json"),
            result = folder.File("o");
        var (code, output, error) = Run("verify", "digits-conv", "--examples", "3", "--seed", "2", "--json", json, "--out", result);
        Assert.Equal((0, ""), (code, error));
        Assert.Matches("conv1.weight +\\[16, 1, 3, 3\\]", output);
        Assert.Contains("checks agree", output, StringComparison.Ordinal);
        Assert.Contains("Approximations by design", File.ReadAllText(Path.Combine(result, "verification.txt")), StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(json), File.ReadAllText(Path.Combine(result, "result.json")));
        var root = JsonNode.Parse(File.ReadAllText(json))!;
        Assert.Equal(3, (int)root["examples"]!);
        foreach (var check in root["checks"]!.AsArray())
        {
            Assert.True((bool)check!["passed"]!, check.ToJsonString());
            Assert.True((double)check["relativeError"]! < 1, check.ToJsonString());
            Assert.NotEqual("", (string?)check["parameter"]);
        }
        Assert.Contains(root["checks"]!.AsArray(), c => (string?)c!["name"] == "k-fac step" && (string?)c["parameter"] == "fc.bias");
        Assert.Equal(6, root["coverage"]!.AsArray().Count);
        Assert.Equal(2, Run("verify", "--out", result).Code); // results are not overwritten unasked
    }

    [Fact]
    public void Verify_fails_for_a_faulty_model_of_ones_own()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("verify.json");
        string assembly = EmittedWorkloads.WriteDerived(folder.Path, "faulty", typeof(FaultyWorkload));
        var (code, output, _) = Run("verify", "--assembly", assembly, "--json", json, "--out", folder.File("o"));
        Assert.Equal(1, code);
        Assert.Contains("do not trust", output, StringComparison.Ordinal);
        Assert.Contains(
            JsonNode.Parse(File.ReadAllText(json))!["checks"]!.AsArray(),
            c => (string?)c!["name"] == "k-fac capture" && (bool?)c["passed"] == false && (string?)c["parameter"] == "first.weight"
        );
    }

    [Fact]
    public void Info_and_help_tell()
    {
        using var folder = new TemporaryFolder();
        var (code, output, _) = Run(
            "info",
            "--out",
            folder.File("o"),
            "--json",
            folder.File("info.json"),
            "--threads",
            $"{Environment.ProcessorCount}",
            "--seed",
            "1"
        );
        Assert.Equal(0, code);
        Assert.Equal($"{Environment.ProcessorCount}", (string?)JsonNode.Parse(File.ReadAllText(folder.File("info.json")))!["threads"]);
        Assert.Equal(File.ReadAllText(folder.File("info.json")), File.ReadAllText(Path.Combine(folder.File("o"), "info.json")));
        foreach (
            string row in (string[])
                ["TorchSharp", "native library", "threads", "instruction sets", "kernels", "pride-and-prejudice", "fashion-mnist", "MPI"]
        )
            Assert.Contains(row, output, StringComparison.Ordinal);
        if (File.Exists("/proc/cpuinfo") && System.Runtime.Intrinsics.X86.X86Base.IsSupported) // what the system says of the processor
        {
            string flags = File.ReadLines("/proc/cpuinfo").First(l => l.StartsWith("flags", StringComparison.Ordinal)) + " ",
                sets = Regex.Match(output, "instruction sets +(.*)").Groups[1].Value + ",";
            foreach (
                var (flag, name) in (ReadOnlySpan<(string, string)>)
                    [
                        ("avx2", "AVX2"),
                        ("fma", "FMA"),
                        ("avx512f", "AVX-512"),
                        ("avx512_bf16", "AVX512-BF16"),
                        ("amx_bf16", "AMX-BF16"),
                        ("amx_int8", "AMX-INT8"),
                    ]
            )
                Assert.Equal(flags.Contains($" {flag} ", StringComparison.Ordinal), sets.Contains(name + ",", StringComparison.Ordinal));
        }
        Assert.Contains("compare", Run().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Info_tells_the_settings_that_a_workload_gives_each_optimizer()
    {
        using var folder = new TemporaryFolder();
        var (code, output, _) = Run("info", "autoencoder", "--json", folder.File("info.json"));
        Assert.Equal(0, code);
        Assert.Matches("(?m)^adamw +LearningRate=1.7e-3 Beta1=0.91 Beta2=0.98 WeightDecay=0\r?$", output);
        Assert.Matches("(?m)^adamw-8bit +LearningRate=1.7e-3 Beta1=0.91 Beta2=0.98 WeightDecay=0 StateFormat=BlockwiseInt8\r?$", output);
        Assert.Matches("(?m)^schedulefree-sgd +Base=Sgd LearningRate=5e-2\r?$", output);
        Assert.Matches("(?m)^newton +its defaults\r?$", output);
        var settings = JsonNode.Parse(File.ReadAllText(folder.File("info.json")))!["settings"]!.AsObject();
        using var trainer = new Amari.Training.Trainer(new Amari.Workloads.Autoencoder(), null);
        Assert.Equal(Amari.Training.OptimizerCatalog.All.Select(o => o.Name), settings.Select(s => s.Key));
        foreach (var (name, options) in settings) // what a run without settings of its own takes
            Assert.Equal(
                Amari.Optimizers.Settings.Describe(trainer.Options(new(name, new Dictionary<string, string>()))),
                options!.AsObject().ToDictionary(o => o.Key, o => (string)o.Value!)
            );
        Assert.Equal(2, Run("info", "no-such").Code);
    }
}
