using System.Text.Json.Nodes;
using Amari.Tests.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>amari train</c> as its user meets it.</summary>
public sealed class TrainCommandTests
{
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
    public void Train_reports_what_a_curvature_budget_chose()
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
}
