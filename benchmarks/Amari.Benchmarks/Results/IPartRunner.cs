namespace Amari.Benchmarks.Results;

/// <summary>Runs the process of a part.</summary>
internal interface IPartRunner
{
    /// <summary>Runs <c>amari</c>, or this program for a benchmark, to its end, or until it is stopped, which keeps what is
    /// done.</summary>
    /// <param name="kind">What to start.</param>
    /// <param name="arguments">All arguments.</param>
    /// <param name="log">The file to which the output is appended.</param>
    /// <param name="stop">Asks the process to end.</param>
    /// <returns>The exit code.</returns>
    Task<int> Run(PartKind kind, IReadOnlyList<string> arguments, string log, CancellationToken stop);

    /// <summary>Why a kind of part cannot run on this machine; null if it can.</summary>
    string? Missing(PartKind kind);
}
