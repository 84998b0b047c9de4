namespace Amari.Benchmarks.Results;

/// <summary>An experiment of <c>docs/results.md</c>.</summary>
/// <param name="Id">The name of its JSON file and of its table.</param>
/// <param name="Title">What it measures, in a few words.</param>
/// <param name="Parts">The commands, at least one, independent of each other.</param>
internal sealed record Recipe(string Id, string Title, IReadOnlyList<Part> Parts)
{
    /// <summary>Whether nothing else may run at the same time, because times are measured.</summary>
    public bool IsAlone { get; init; }

    /// <summary>Processor time of all parts, estimated.</summary>
    public double Seconds => Parts.Sum(p => p.Seconds);

    /// <summary>The commands of the parts.</summary>
    public IReadOnlyList<string> Commands => [.. Parts.Select(p => p.Command)];
}
