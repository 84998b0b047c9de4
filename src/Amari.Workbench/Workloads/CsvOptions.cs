namespace Amari.Workloads;

/// <summary>How a CSV file is read.</summary>
public sealed record CsvOptions
{
    /// <summary>What is predicted of the target.</summary>
    public CsvTask Task { get; init; }

    /// <summary>Columns that are no features, such as row numbers.</summary>
    public IReadOnlyList<string> Ignore { get; init; } = [];

    /// <summary>Seed of the division into training, validation and test rows. It does not depend on the seed of a run.</summary>
    public int SplitSeed { get; init; }
}
