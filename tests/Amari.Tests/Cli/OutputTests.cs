using System.Diagnostics;
using System.Text.Json.Nodes;
using Amari.Ranks;
using Amari.Reporting;
using Amari.Tests.Training;
using Amari.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>Where results go: <c>--json</c>, <c>--out</c>, and elsewhere.</summary>
public sealed class OutputTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string[] Train(params string[] more) =>
        ["train", "digits-softmax", "--optimizer", "sgd", "--epochs", "1", "--threads", "1", "--out", _folder.File("o"), .. more];

    [Theory, InlineData("-"), InlineData("/dev/fd/1"), InlineData("link")]
    public void Standard_output_takes_the_result_alone(string path)
    {
        Assert.SkipWhen(path != "-" && OperatingSystem.IsWindows(), "Windows has no such file.");
        if (path == "link")
            File.CreateSymbolicLink(path = _folder.File(path), "/dev/stdout");
        var (code, output, error) = Run(Train("--json", path));
        Assert.Equal(0, code);
        Assert.Single(JsonNode.Parse(output)!["runs"]!.AsArray());
        Assert.Contains("held-out", error, StringComparison.Ordinal);
        if (path != "-")
            return;
        foreach (
            string[] other in (string[][])
                [
                    ["info"],
                    ["verify", "digits-softmax", "--examples", "3"],
                ]
        )
        {
            (code, output, _) = Run([.. other, "--json", path, "--out", _folder.File(other[0])]);
            Assert.Equal(0, code);
            Assert.NotNull(JsonNode.Parse(output));
        }
    }

    /// <summary>Text that nobody can read is dropped, but not a result that was asked for.</summary>
    [Theory]
    [InlineData("--json", ">/dev/full", 1, "--json '-' could not be written: No space left on device")]
    [InlineData("--json", "| true", 1, "--json '-' could not be written: Broken pipe")]
    [InlineData("--json", ">&-", 2, "--json is '-', which is not open for writing.")]
    [InlineData("--log-jsonl", ">/dev/full", 0, "--log-jsonl '-' ends at step 0 of sgd: No space left on device")]
    [InlineData("--log-jsonl", "| true", 0, "--log-jsonl '-' ends at step ")]
    [InlineData(null, ">/dev/full", 0, "")]
    [InlineData(null, ">&-", 0, "")]
    [InlineData(null, ">&- 2>&-", 0, "")]
    public async Task Standard_output_that_takes_nothing_loses_no_result_silently(string? option, string output, int code, string error)
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has all of these files");
        using var tool = new ToolProcess(
            Train(option is null ? [] : [option, "-"]),
            "bash",
            "-o",
            "pipefail",
            "-c",
            $"\"$0\" \"$@\" {output}"
        );
        var (exit, _, text) = await tool.End();
        Assert.Equal(code, exit);
        Assert.Contains(error, text, StringComparison.Ordinal);
        Assert.Equal(code != 2, File.Exists(_folder.File(Path.Combine("o", "result.json"))));
    }

    [Fact]
    public async Task Pipes_and_devices_are_written_to_and_stay_what_they_are()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "only Linux has all of these files");
        string pipe = _folder.File("pipe");
        using (var make = Process.Start("mkfifo", [pipe]))
            await make.WaitForExitAsync(TestContext.Current.CancellationToken);
        var reader = Task.Run(() => File.ReadAllText(pipe));
        Assert.Equal((0, ""), Run(Train("--json", pipe)) is var (code, _, error) ? (code, error) : default);
        Assert.Single(JsonNode.Parse(await reader)!["runs"]!.AsArray());
        reader = Task.Run(() => File.ReadAllText(pipe));
        File.WriteAllText(pipe, "still a pipe");
        Assert.Equal("still a pipe", await reader);
        Assert.Equal(0, Run(Train("--json", "/dev/null", "--overwrite")).Code);
        (code, _, error) = Run(Train("--json", "/dev/full", "--overwrite"));
        Assert.Equal(1, code);
        Assert.Contains("--json '/dev/full' could not be written: ", Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_is_replaced_only_on_request_and_keeps_mode_and_links()
    {
        string file = _folder.File("f.json"),
            link = _folder.File("l"),
            chain = _folder.File("c");
        File.WriteAllText(file, "mine");
        File.CreateSymbolicLink(link, "f.json");
        File.CreateSymbolicLink(chain, link);
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        foreach (string path in (string[])[file, link, chain])
        {
            AssertRefused("which already exists; choose another file or use --overwrite.", Train("--json", path));
            AssertRefused(
                "which already exists",
                ["plan", "digits-softmax", "--optimizers", "sgd", "--steps", "2", "--json", path, "--out", _folder.File("p")]
            );
            AssertRefused("which already exists", ["info", "--json", path]);
            Assert.False(Directory.Exists(_folder.File("o")));
        }
        Assert.Equal("mine", File.ReadAllText(file));
        Assert.Equal(0, Run(Train("--json", chain, "--overwrite")).Code);
        Assert.NotNull(JsonNode.Parse(File.ReadAllText(file)));
        Assert.Equal((link, "f.json"), (new FileInfo(chain).LinkTarget, new FileInfo(link).LinkTarget));
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead, File.GetUnixFileMode(file));
        File.Delete(file); // a link to nothing yet
        Assert.Equal(0, Run(Train("--json", chain, "--overwrite")).Code);
        Assert.True(File.Exists(file));
        AssertRefused("which is a folder", Train("--json", _folder.Path));
    }

    [Fact]
    public void Files_of_others_stay_even_where_results_may_be_replaced()
    {
        string results = _folder.File("o"),
            page = Path.Combine(results, "report.html");
        Directory.CreateDirectory(results);
        File.WriteAllText(Path.Combine(results, "notes.txt"), "mine");
        Assert.Equal(0, Run(Train()).Code);
        AssertRefused("holds results already", Train());
        Assert.Equal(0, Run(Train("--overwrite")).Code);
        File.AppendAllText(page, "my remarks");
        string changed = File.ReadAllText(page);
        AssertRefused($"'{page}' was not written by this tool or has changed", Train("--overwrite"));
        Assert.Equal(changed, File.ReadAllText(page));
        File.Delete(page);
        Assert.Equal(0, Run(Train("--overwrite")).Code);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(results, "notes.txt")));
        Directory.CreateDirectory(_folder.File("p"));
        File.WriteAllText(_folder.File(Path.Combine("p", "loss-steps.svg")), "mine");
        AssertRefused("loss-steps.svg", ["train", "digits-softmax", "--epochs", "1", "--out", _folder.File("p")]);
        Assert.Equal("mine", File.ReadAllText(_folder.File(Path.Combine("p", "loss-steps.svg"))));
    }

    /// <summary>A file that the command itself writes is no place for another result, by whatever path it is named.</summary>
    [Fact]
    public void A_name_that_the_command_itself_writes_is_refused_for_the_copy()
    {
        string results = _folder.File("o"),
            link = _folder.File("link");
        Directory.CreateSymbolicLink(link, results);
        foreach (
            string name in (string[])
                [
                    "report.html",
                    "loss-steps.svg",
                    "loss-seconds.png",
                    ".amari",
                    ".lock",
                    "best.safetensors",
                    "step-000000001.safetensors",
                    "unfinished",
                    "./report.html",
                    "report.html/a.json",
                    "sub/../report.html",
                ]
        )
        {
            AssertRefused(
                $"'{Path.Combine(results, name)}', which the command itself writes",
                Train("--json", Path.Combine(results, name))
            );
            AssertRefused("or result.json", Train("--json", Path.Combine(results, name), "--overwrite"));
            Assert.False(Directory.Exists(results));
        }
        Directory.CreateDirectory(results);
        AssertRefused("which the command itself writes", Train("--json", Path.Combine(link, "report.html")));
        AssertRefused(
            "verification.txt",
            ["verify", "digits-softmax", "--out", results, "--json", Path.Combine(results, "verification.txt")]
        );
        AssertRefused(
            "plan.png",
            ["plan", "digits-softmax", "--optimizers", "sgd", "--out", results, "--json", Path.Combine(results, "plan.png")]
        );
        AssertRefused(
            "comparison.json",
            ["compare", "digits-softmax", "--optimizers", "sgd", "--out", results, "--json", Path.Combine(results, "comparison.json")]
        );
        AssertRefused("spectrum.svg", ["spectrum", "digits-softmax", "--out", results, "--json", Path.Combine(results, "spectrum.svg")]);
        AssertRefused("figures", ["lecture", "E1", "--out", results, "--json", Path.Combine(results, "figures", "a.png")]);
        AssertRefused("or info.json", ["info", "--out", results, "--json", Path.Combine(results, ".lock")]);
        Assert.Empty(Directory.EnumerateFileSystemEntries(results));
        Directory.Delete(results);
        AssertRefused("the folder of the results or one around it", Train("--json", results));
        AssertRefused("or one around it", ["info", "--out", Path.Combine(results, "inner"), "--json", results]);
        Assert.False(Directory.Exists(results));
    }

    [Fact]
    public void The_result_itself_and_any_other_name_are_taken()
    {
        string results = _folder.File("o"),
            copy = Path.Combine(results, "sub", "copy.json"),
            link = _folder.File("link");
        foreach (string name in (string[])["result.json", "sub/copy.json", "../beside.json"])
        {
            Assert.Equal(0, Run(Train("--json", Path.Combine(results, name), "--overwrite")).Code);
            Assert.Equal(File.ReadAllText(Path.Combine(results, "result.json")), File.ReadAllText(Path.Combine(results, name)));
        }
        Directory.CreateSymbolicLink(link, results);
        Assert.Equal(0, Run(Train("--json", Path.Combine(link, "result.json"), "--overwrite")).Code);
        Assert.Equal(0, Run(["info", "--out", _folder.File("i"), "--json", _folder.File(Path.Combine("i", "info.json"))]).Code);
        Assert.NotNull(JsonNode.Parse(File.ReadAllText(_folder.File(Path.Combine("i", "info.json")))));
        Assert.Equal(0, Run(["info", "--out", _folder.File("j"), "--json", _folder.File("j.json")]).Code);
        Assert.Equal(File.ReadAllText(_folder.File(Path.Combine("j", "info.json"))), File.ReadAllText(_folder.File("j.json")));
        Assert.True(File.Exists(copy));
    }

    [Fact]
    public void Results_that_their_folder_does_not_take_are_elsewhere()
    {
        string results = _folder.File("o"),
            json = _folder.File("copy.json");
        using var error = new StringWriter();
        using var folder = ResultFolder.Prepare(
            results,
            false,
            "x",
            Amari.Training.OutputTarget.Of("--json", json, false, TextWriter.Null),
            error: error
        );
        folder.WriteInterim("result.json", "1");
        Assert.Equal("1", File.ReadAllText(folder.FileNamed("result.json")));
        Directory.Delete(results, recursive: true);
        File.WriteAllText(results, ""); // a file in its place: also root cannot write there
        folder.WriteInterim("result.json", "2");
        folder.WriteInterim("result.json", "2");
        Assert.Contains("the command continues", Assert.Single(error.ToString().Trim().Split('\n')), StringComparison.Ordinal);
        folder.WriteResult("3");
        string page = folder.Write("report.html", "4");
        string elsewhere = Path.GetDirectoryName(page)!;
        try
        {
            Assert.Equal(
                ("3", "4", "3"),
                (File.ReadAllText(Path.Combine(elsewhere, "result.json")), File.ReadAllText(page), File.ReadAllText(json))
            );
            Assert.Contains(
                $"the remaining results are in '{elsewhere}'",
                error.ToString().Trim().Split('\n')[1],
                StringComparison.Ordinal
            );
            Assert.Equal((1, 2), (folder.ExitCode(0), folder.ExitCode(2)));
            if (!OperatingSystem.IsWindows())
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(elsewhere));
        }
        finally
        {
            Directory.Delete(elsewhere, recursive: true);
        }
    }

    [Fact]
    public async Task A_closed_terminal_ends_a_run_with_results_unless_nohup()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals to send.");
        string saved = _folder.File("saved"),
            stays = _folder.File("stays");
        using var closing = new ToolProcess([
            "train",
            "digits-mlp",
            "--optimizer",
            "sgd",
            "--budget",
            "60s",
            "--threads",
            "1",
            "--out",
            _folder.File("a"),
            "--checkpoint",
            saved,
            "--checkpoint-every",
            "50ms",
        ]);
        using var ignoring = new ToolProcess(
            [
                "train",
                "digits-mlp",
                "--optimizer",
                "sgd",
                "--epochs",
                "150",
                "--threads",
                "1",
                "--out",
                _folder.File("b"),
                "--checkpoint",
                stays,
                "--checkpoint-every",
                "50ms",
            ],
            "nohup"
        );
        await closing.Until(() => Directory.Exists(saved) && Directory.GetFiles(saved, "step-*").Length > 0);
        closing.Signal("HUP");
        await ignoring.Until(() => Directory.Exists(stays) && Directory.GetFiles(stays, "step-*").Length > 0);
        ignoring.Signal("HUP");
        Assert.Equal((1, ""), await closing.End() is var (code, _, error) ? (code, error) : default);
        Assert.Equal("interrupted", Status("a"));
        Assert.Equal(0, (await ignoring.End()).Code);
        Assert.NotEqual("interrupted", Status("b"));

        string? Status(string name) =>
            (string?)JsonNode.Parse(File.ReadAllText(_folder.File(Path.Combine(name, "result.json"))))!["runs"]![0]!["status"];
    }
}
