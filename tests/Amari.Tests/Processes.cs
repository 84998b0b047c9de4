using System.Diagnostics;

namespace Amari.Tests;

/// <summary>The collection of tests that mostly wait for other processes. It runs beside all other tests, which are one collection, because
/// libtorch has one random generator: its tests train nothing and draw no numbers in the process of the runner.</summary>
[CollectionDefinition(nameof(Processes))]
public sealed class Processes
{
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
