namespace Amari.Training;

/// <summary>How and where the results of a command were made.</summary>
/// <param name="First">The first start.</param>
/// <param name="Seeds">The requested seeds.</param>
internal sealed record Provenance(ProgramStart First, IReadOnlyList<int> Seeds)
{
    /// <summary>The later starts that continued it.</summary>
    public IReadOnlyList<ProgramStart> Continued { get; init; } = [];

    /// <summary>The same results, continued by another start.</summary>
    public Provenance ContinuedBy(ProgramStart start) => this with { Continued = [.. Continued, start] };
}
