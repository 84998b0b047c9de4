using Amari.Ranks;

namespace Amari.Tests.Training;

/// <summary>A folder that is gone after the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("amari-").FullName;

    public string File(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>The files that a user sees: not the hidden lock.</summary>
    public string[] Names() =>
        [.. Directory.GetFiles(Path).Select(f => System.IO.Path.GetFileName(f)).Where(f => f[0] != '.').Order(StringComparer.Ordinal)];

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
