using System.Diagnostics;
using Amari.Native;
using TorchSharp;

namespace Amari.Tests.Native;

/// <summary>Where the patched library is kept, in processes with folders of their own.</summary>
[Collection(nameof(Processes))]
public sealed class TorchLibraryTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("amari-test-");

    public TorchLibraryTests() =>
        Assert.SkipUnless(TorchLibrary.Status.State == TorchLibraryState.Patched, "TorchSharp's library loads here as it is.");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Processes_that_start_at_once_share_an_empty_cache()
    {
        var children = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Run(_folder.FullName)));

        Assert.All(children, child => Assert.True(child.ExitCode == 0, child.Output));
        Assert.Single(Files());
    }

    [Fact]
    public async Task A_damaged_copy_is_replaced()
    {
        Assert.Equal(0, (await Run(_folder.FullName)).ExitCode);
        var copy = Assert.Single(Files());
        var good = File.ReadAllBytes(copy);
        File.WriteAllBytes(copy, good[..1000]);

        Assert.Equal(0, (await Run(_folder.FullName)).ExitCode);
        Assert.Equal(good, File.ReadAllBytes(copy));
    }

    [Fact]
    public async Task Without_a_writable_home_memory_serves_and_the_temporary_directory_stays_empty()
    {
        var child = await Run("/proc/none", _folder.FullName);

        Assert.True(child.ExitCode == 0, child.Output);
        Assert.DoesNotContain(Files(), file => file.Contains("LibTorchSharp", StringComparison.Ordinal));
    }

    /// <summary>Neither the library nor the figures' font needs a file.</summary>
    [Fact]
    public async Task Without_any_writable_directory_the_tool_trains_and_draws()
    {
        string results = Path.Combine(_folder.FullName, "o");
        var child = await Start(
            [
                Path.Combine(AppContext.BaseDirectory, "Amari.Cli.dll"),
                "train",
                "digits-softmax",
                "--optimizer",
                "sgd",
                "--epochs",
                "1",
                "--out",
                results,
            ],
            "/proc/cache",
            "/proc/temporary"
        );

        Assert.Equal((0, ""), (child.ExitCode, Cli.ToolProcess.WithoutStarvation(child.Error)));
        Assert.True(File.Exists(Path.Combine(results, "report.html")));
        Assert.True(File.Exists(Path.Combine(results, "loss-steps.png")));
    }

    private string[] Files() => Directory.GetFiles(_folder.FullName, "*", SearchOption.AllDirectories);

    private static async Task<(int ExitCode, string Output)> Run(string cache, string? temporary = null)
    {
        var (code, output, error) = await Start(
            [typeof(TorchLibraryTests).Assembly.Location, "-class", typeof(TorchLibraryInProcessTests).FullName!],
            cache,
            temporary
        );
        return (code, output + error);
    }

    private static async Task<(int ExitCode, string Output, string Error)> Start(string[] arguments, string cache, string? temporary)
    {
        var start = new ProcessStartInfo("dotnet", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["XDG_CACHE_HOME"] = cache;
        if (temporary is not null)
            start.Environment["TMPDIR"] = temporary;
        using var child = Process.Start(start)!;
        var output = await Task.WhenAll(child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync());
        await child.WaitForExitAsync();
        return (child.ExitCode, output[0], output[1]);
    }
}
