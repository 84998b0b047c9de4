using System.Diagnostics;

namespace Amari.Tests;

/// <summary>The collection of tests that mostly wait for other processes. It runs beside all other tests, which are one collection, because
/// libtorch has one random generator: its tests train nothing and draw no numbers in the process of the runner.</summary>
[CollectionDefinition(nameof(Processes))]
public sealed class Processes
{
    private const string Variable = "AMARI_TEST_ALONE";

    /// <summary>What this process was started for by <see cref="RunAlone"/>; null if it was not.</summary>
    internal static string? Alone => Environment.GetEnvironmentVariable(Variable);

    /// <summary>Runs the tests of a class in a process of its own, and fails if one of them does.</summary>
    /// <param name="tests">The class.</param>
    /// <param name="part">What <see cref="Alone"/> is there.</param>
    internal static async Task RunAlone(Type tests, string part)
    {
        var start = new ProcessStartInfo("dotnet", [tests.Assembly.Location, "-class", tests.FullName!])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment[Variable] = part;
        start.Environment["MALLOC_ARENA_MAX"] = "1"; // malloc_trim leaves what is free at the end of any other arena
        using var child = Process.Start(start)!;
        string[] output = await Task.WhenAll(child.StandardOutput.ReadToEndAsync(), child.StandardError.ReadToEndAsync());
        await child.WaitForExitAsync();
        Assert.True(child.ExitCode == 0, string.Concat(output));
    }

    /// <summary>Has .NET make no pipes and sockets for debuggers, which a process that is killed would leave in the temporary
    /// folder.</summary>
    internal static void LeaveNothing(ProcessStartInfo start) => start.Environment["DOTNET_EnableDiagnostics"] = "0";

    /// <summary>Has a command of the SDK, which leaves empty folders and servers of compilers, work in a temporary folder of its
    /// own.</summary>
    internal static void WorkIn(string folder, ProcessStartInfo start)
    {
        start.Environment["TMPDIR"] = folder;
        start.Environment["MSBUILDDISABLENODEREUSE"] = "1";
        start.Environment["UseSharedCompilation"] = "false";
    }
}
