using System.Diagnostics;
using System.Text.Json.Nodes;
using Amari.Tests.Training;

namespace Amari.Tests.Cli;

/// <summary>Ctrl-C at a process of the tool.</summary>
[Collection(nameof(Processes))]
public sealed class InterruptTests
{
    [Fact]
    public async Task The_runs_so_far_are_kept_and_reported()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals to send.");
        using var folder = new TemporaryFolder();
        string result = folder.File("o"),
            seen = Path.Combine(result, "monitor.jsonl");
        using var tool = Process.Start(
            new ProcessStartInfo(
                "dotnet",
                [
                    Path.Combine(AppContext.BaseDirectory, "Amari.Cli.dll"),
                    "compare",
                    "digits-mlp",
                    "--optimizers",
                    "sgd,adamw,lion",
                    "--budget",
                    "2s",
                    "--seeds",
                    "1",
                    "--threads",
                    "1",
                    "--monitor",
                    "kl",
                    "--out",
                    result,
                ]
            )
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            }
        )!;
        var (output, error) = (
            tool.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken),
            tool.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken)
        );
        while (!tool.HasExited && !Lines().Any(l => l.Contains("\"adamw\"", StringComparison.Ordinal)))
            await Task.Delay(5, TestContext.Current.CancellationToken); // the second run has begun
        using (var signal = Process.Start("sh", ["-c", $"kill -INT {tool.Id}"]))
            await signal.WaitForExitAsync(TestContext.Current.CancellationToken);
        await tool.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal((1, ""), (tool.ExitCode, ToolProcess.WithoutStarvation(await error)));
        Assert.Contains("interrupted", await output, StringComparison.Ordinal);
        var runs = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["runs"]!.AsArray();
        Assert.Equal([("sgd", "completed"), ("adamw", "interrupted")], runs.Select(r => ((string)r!["optimizer"]!, (string)r["status"]!)));
        Assert.All(runs, r => Assert.True((double)r!["finalLoss"]! > 0));
        Assert.Contains("adamw", File.ReadAllText(Path.Combine(result, "report.html")), StringComparison.Ordinal);

        string[] Lines()
        {
            if (!File.Exists(seen))
                return [];
            using var reader = new StreamReader(new FileStream(seen, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            return reader.ReadToEnd().Split('\n');
        }
    }
}
