namespace Amari.Benchmarks.Results;

/// <summary>One command of a <see cref="Recipe"/>, in a process of its own.</summary>
/// <param name="Name">The name within the recipe, and of its folder.</param>
/// <param name="Kind">What it starts.</param>
/// <param name="Arguments">The arguments, without those that name files.</param>
/// <param name="Seconds">How long it takes, estimated.</param>
internal sealed record Part(string Name, PartKind Kind, IReadOnlyList<string> Arguments, double Seconds)
{
    /// <summary>The command for readers. Two parts with the same command give the same measurement.</summary>
    public string Command =>
        Kind switch
        {
            PartKind.Comparison => "amari ",
            PartKind.RankedBenchmark => "mpirun -np 2 benchmarks ",
            _ => "benchmarks ",
        } + string.Join(' ', Arguments);
}
