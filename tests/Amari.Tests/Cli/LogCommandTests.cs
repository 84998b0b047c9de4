using System.Diagnostics;
using System.Text.Json.Nodes;
using Amari.Tests.Reporting;
using Amari.Tests.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>--log-jsonl</c> and <c>--tensorboard</c> as their user meets them.</summary>
public sealed class LogCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string[] Train(params string[] more) =>
        ["train", "digits-softmax", "--optimizer", "sgd", "--epochs", "9", "--threads", "1", "--out", _folder.File("o"), .. more];

    private static List<JsonNode> Lines(string text) =>
        [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonNode.Parse(l)!)];

    private JsonNode Result => JsonNode.Parse(File.ReadAllText(_folder.File("o/result.json")))!;

    private static IEnumerable<string> Steps(JsonNode run) => run["losses"]!.AsArray().Select(p => $"{p![0]}:{p[2]}");

    [Fact]
    public void Compare_logs_every_evaluation_of_runs_and_trials()
    {
        string log = _folder.File("new/log.jsonl"),
            board = _folder.File("board");
        var (code, _, error) = Run(
            "compare",
            "digits-softmax",
            "--optimizers",
            "sgd,adamw",
            "--epochs",
            "30",
            "--seeds",
            "2",
            "--tune",
            "2",
            "--out",
            _folder.File("o"),
            "--log-jsonl",
            log,
            "--tensorboard",
            board
        );
        Assert.Equal((0, ""), (code, ToolProcess.WithoutStarvation(error)));
        var lines = Lines(File.ReadAllText(log));
        string[] names =
        [
            "workload",
            "optimizer",
            "seed",
            "stage",
            "step",
            "seconds",
            "loss",
            "heldOutLoss",
            "metric",
            "rate",
            "msPerStep",
        ];
        Assert.All(lines, l => Assert.Equal(names, l.AsObject().Select(p => p.Key)));
        foreach (var run in Result["runs"]!.AsArray())
        {
            var own = lines
                .Where(l =>
                    (string)l["stage"]! == ""
                    && (string)l["optimizer"]! == (string)run!["optimizer"]!
                    && (int)l["seed"]! == (int)run["seed"]!
                )
                .ToList();
            Assert.Equal(Steps(run!), own.Select(l => $"{l["step"]}:{l["loss"]}"));
            Assert.True(own.Count > 2);
            var scalars = EventFile.Read(Path.Combine(board, $"{run!["optimizer"]}-{run["seed"]}"));
            Assert.Equal(
                own.Select(l => ((long)l["step"]!, (float)(double)l["loss"]!)),
                scalars.Where(s => s.Tag == "loss/train").Select(s => (s.Step, s.Value))
            );
            Assert.Equal(own.Select(l => (float)(double)l["rate"]!), scalars.Where(s => s.Tag == "learning rate").Select(s => s.Value));
        }
        Assert.Equal(
            ["tuning 1/3", "tuning 2/3", "tuning 3/3"],
            lines.Select(l => (string)l["stage"]!).Where(s => s.Length > 0).Distinct().Order()
        );
        Assert.Equal(4 + 6, Directory.GetDirectories(board).Length);
    }

    [Fact]
    public async Task Lines_go_to_pipes_and_alone_to_standard_output()
    {
        var (code, output, error) = Run(Train("--log-jsonl", "-"));
        Assert.Equal(0, code);
        Assert.Equal(Steps(Result["runs"]![0]!), Lines(output).Select(l => $"{l["step"]}:{l["loss"]}"));
        Assert.Contains("held-out", error, StringComparison.Ordinal);
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has pipes with names and full devices");
        string pipe = _folder.File("pipe");
        using (var make = Process.Start("mkfifo", [pipe]))
            await make.WaitForExitAsync(TestContext.Current.CancellationToken);
        var reader = Task.Run(() => File.ReadAllText(pipe));
        Assert.Equal(0, Run(Train("--overwrite", "--log-jsonl", pipe)).Code);
        Assert.Equal(Lines(output).Count, Lines(await reader).Count);
        (code, _, error) = Run(Train("--overwrite", "--log-jsonl", "/dev/full")); // the run goes on
        Assert.Equal((0, ""), (code, ToolProcess.WithoutStarvation(error)));
    }

    [Fact]
    public void Outputs_that_cannot_be_are_refused_before_training()
    {
        string file = _folder.File("log.jsonl");
        File.WriteAllText(file, "mine\n");
        AssertRefused("which already exists; choose another file or use --overwrite.", Train("--log-jsonl", file));
        AssertRefused("which is a folder", Train("--log-jsonl", _folder.Path));
        AssertRefused("--log-jsonl is ''", Train("--log-jsonl", ""));
        AssertRefused("--log-jsonl is '-', and so is --json: choose different outputs.", Train("--log-jsonl", "-", "--json", "-"));
        AssertRefused("which the command itself writes", Train("--log-jsonl", _folder.File("o/result.json")));
        AssertRefused("which the command itself writes", Train("--log-jsonl", _folder.File("o/report.html")));
        AssertRefused("cannot be written to", Train("--log-jsonl", Path.Combine(file, "l")));
        AssertRefused($"--tensorboard: '{file}' is a file; it must be a folder.", Train("--tensorboard", file));
        AssertRefused("--tensorboard: The folder", Train("--tensorboard", Path.Combine(file, "board")));
        AssertRefused("must be a folder", Train("--overwrite", "--log-jsonl", file, "--tensorboard", file));
        Assert.Equal("mine\n", File.ReadAllText(file));
        Assert.False(Directory.Exists(_folder.File("o")));
        Assert.Equal(0, Run(Train("--log-jsonl", file, "--overwrite")).Code);
        Assert.DoesNotContain("mine", File.ReadAllText(file), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stopped_and_continued_it_appends()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals to send.");
        string log = _folder.File("log.jsonl"),
            board = _folder.File("board");
        string[] logs = ["--log-jsonl", log, "--tensorboard", board];
        string[] comparison = ["compare", "digits-mlp", "--optimizers", "sgd,adamw", "--seeds", "1", "--epochs", "60", "--threads", "1"];
        using (var tool = new ToolProcess([.. comparison, "--out", _folder.File("o"), .. logs]))
        {
            await tool.Until(() => File.Exists(log) && Text().Contains("adamw", StringComparison.Ordinal));
            tool.Signal("INT");
            Assert.Equal(1, (await tool.End()).Code);
        }
        Assert.NotEmpty(EventFile.Read(Path.Combine(board, "adamw-0"))); // complete
        int before = Lines(Text()).Count;
        Assert.Equal(0, Run(["compare", "--resume", _folder.File("o"), .. logs]).Code);
        var lines = Lines(Text());
        Assert.True(lines.Count > before);
        Assert.Equal("sgd", (string)lines[0]["optimizer"]!);
        Assert.All(lines.Skip(before), l => Assert.Equal("adamw", (string)l["optimizer"]!));
        Assert.Single(Directory.GetFiles(Path.Combine(board, "sgd-0")));
        Assert.Equal(2, Directory.GetFiles(Path.Combine(board, "adamw-0")).Length);

        string Text()
        {
            using var reader = new StreamReader(new FileStream(log, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            return reader.ReadToEnd();
        }
    }
}
