using System.Reflection;
using Amari.Distributed;

namespace Amari.Training;

/// <summary>A start of the tool that made results, or a part of them.</summary>
/// <param name="Version">The version of Amari.</param>
/// <param name="Commit">The commit that it was built from; null if unknown.</param>
/// <param name="CommandLine">The command line.</param>
/// <param name="Started">When it began.</param>
/// <param name="Machine">Where it ran.</param>
/// <param name="Threads">The threads of libtorch and of the kernels, in each process.</param>
/// <param name="Ranks">The number of processes.</param>
internal sealed record ProgramStart(
    string Version,
    string? Commit,
    string CommandLine,
    DateTimeOffset Started,
    Machine Machine,
    int Threads,
    int Ranks
)
{
    /// <summary>The start of this process.</summary>
    public static ProgramStart Of(string commandLine)
    {
        var (version, commit) = Build(
            typeof(ProgramStart).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
        );
        return new(version, commit, commandLine, DateTimeOffset.UtcNow, Machine.Current, torch.get_num_threads(), Launcher.Size);
    }

    /// <summary>The version and the commit in an informational version such as <c>0.1.0+0b816b5</c>.</summary>
    internal static (string Version, string? Commit) Build(string? informational) =>
        (informational ?? "unknown").Split('+', 2) is [var version, { Length: > 0 } commit]
            ? (version, commit)
            : (informational?.TrimEnd('+') ?? "unknown", null);
}
