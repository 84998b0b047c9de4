using Amari.Training;

namespace Amari.Cli.Reporting;

/// <summary>Where results go; found writable before anything is trained, and never one with results in it unless the user says so. Disposed, it takes back the folders that it
/// made and that nothing was written to.</summary>
internal sealed record ResultFolder(string Path, string? Json) : IDisposable
{
    private IReadOnlyList<string> Made { get; init; } = [];     // the innermost first

    /// <param name="asked">What --out says; null takes a new numbered folder under <c>out/</c>.</param>
    /// <param name="overwrite">Whether results there may be replaced.</param>
    /// <param name="name">The stem of a new folder.</param>
    /// <param name="json">What --json says.</param>
    /// <exception cref="ArgumentException">The folder holds results, or a path is a file or a folder where it must not be.</exception>
    public static ResultFolder Prepare(string? asked, bool overwrite, string name, string? json)
    {
        string path = asked ?? Enumerable.Range(1, int.MaxValue).Select(i => System.IO.Path.GetFullPath(FormattableString.Invariant($"out/{name}-{i:D3}")))
            .First(p => !System.IO.Path.Exists(p));
        if (File.Exists(path)) throw new ArgumentException($"--out is '{path}', which is a file; it must be a folder.");
        if (!overwrite && File.Exists(System.IO.Path.Combine(path, "result.json")))
            throw new ArgumentException($"'{path}' holds results already; choose another folder or say --overwrite.");
        if (json is not null && Directory.Exists(json)) throw new ArgumentException($"--json is '{json}', which is a folder; it must be a file.");
        string[] needed = json is null ? [path] : [path, System.IO.Path.GetDirectoryName(json)!];
        var missing = needed.SelectMany(Missing).Distinct().OrderByDescending(f => f.Length).ToList();
        var result = new ResultFolder(path, json) { Made = missing };
        try
        {
            foreach (string folder in needed) AtomicFile.Probe(folder);
        }
        catch (ArgumentException)
        {
            result.Dispose();
            throw;
        }
        return result;

        static IEnumerable<string> Missing(string folder)
        {
            for (string? f = System.IO.Path.GetFullPath(folder); f is not null && !Directory.Exists(f); f = System.IO.Path.GetDirectoryName(f)) yield return f;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (string folder in Made)
            if (Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any()) Directory.Delete(folder);
    }

    /// <summary>Writes a file as a whole, and its folder if need be: a failure leaves what was there.</summary>
    public static void Write(string file, string text)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
        AtomicFile.Write(file, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));
    }

    /// <summary>The full name of a file in the folder.</summary>
    public string FileNamed(string name) => System.IO.Path.Combine(Path, name);
}
