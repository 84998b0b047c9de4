using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>The end of the process without anything that could wait: no finalizers, no exit handlers of libraries that wait for lost
/// peers.</summary>
internal static partial class HardExit
{
    /// <summary>Writes one line to standard error and ends.</summary>
    [DoesNotReturn]
    public static void With(string line, int exitCode)
    {
        Console.Error.WriteLine(line.ReplaceLineEndings(" "));
        Console.Error.Flush();
        Now(exitCode);
    }

    /// <summary>Ends.</summary>
    [DoesNotReturn]
    public static void Now(int exitCode)
    {
        if (!OperatingSystem.IsWindows())
            EndProcess(exitCode);
        Environment.Exit(exitCode);
    }

    [LibraryImport("libc", EntryPoint = "_exit")]
    private static partial void EndProcess(int status);
}
