namespace Amari.Benchmarks.Results;

/// <summary>What a <see cref="Part"/> starts.</summary>
internal enum PartKind
{
    /// <summary><c>amari compare</c> on one thread, which can be continued.</summary>
    Comparison,

    /// <summary>Another benchmark of this program.</summary>
    Benchmark,

    /// <summary>Another benchmark of this program on two ranks, started by <c>mpirun</c>.</summary>
    RankedBenchmark,
}
