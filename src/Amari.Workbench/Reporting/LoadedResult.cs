using Amari.Serialization;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>A result of <c>train</c> or <c>compare</c> that was read from its file.</summary>
/// <param name="Path">The folder of a <c>result.json</c>, or a file with another name.</param>
/// <param name="File">The file after resolving links.</param>
/// <param name="Comparison">Its content, with at least one run.</param>
/// <param name="Partial">Whether runs are missing.</param>
internal sealed record LoadedResult(string Path, string File, BenchmarkResult Comparison, bool Partial)
{
    /// <summary>Reads a folder of results or a file: one result for each workload.</summary>
    /// <exception cref="ArgumentException">There is no result, or it cannot be read; the message says why.</exception>
    public static IReadOnlyList<LoadedResult> Of(string path)
    {
        string file = Directory.Exists(path) ? System.IO.Path.Combine(path, ResultFolder.Document) : path;
        if (!System.IO.File.Exists(file))
            throw new ArgumentException(
                file == path
                    ? $"'{path}' does not exist; it must be a folder of results, or a {ResultFolder.Document}."
                    : $"'{path}' holds no results: there is no {ResultFolder.Document}."
            );
        try
        {
            var (comparisons, partial) = ResultJson.Read(System.IO.File.ReadAllText(file));
            string target = AtomicFile.Target(System.IO.Path.GetFullPath(file));
            List<LoadedResult> begun =
            [
                .. comparisons.Where(c => c.Runs.Count > 0).Select(c => new LoadedResult(Place(file), target, c, partial)),
            ];
            return begun.Count > 0
                ? begun
                : throw new InvalidDataException("it has no run, because the command was stopped before the first one");
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"'{file}' is not a result that can be reported: {e.Message.TrimEnd('.')}.", e);
        }
    }

    private static string Place(string file)
    {
        string full = System.IO.Path.GetFullPath(file);
        return System.IO.Path.GetFileName(full) == ResultFolder.Document ? System.IO.Path.GetDirectoryName(full)! : full;
    }
}
