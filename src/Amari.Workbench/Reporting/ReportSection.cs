using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>A comparison in a report, and what the report says about its workload.</summary>
/// <param name="Result">The results.</param>
/// <param name="Description">The data, the network and its size in one line, without a full stop.</param>
/// <param name="BatchSize">Examples per training batch.</param>
internal sealed record ReportSection(BenchmarkResult Result, string Description, int BatchSize)
{
    /// <summary>Whether runs are still to come, in a live view: then there is no answer.</summary>
    public bool IsOpen { get; init; }

    /// <summary>Remarks below the answer.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>How and where its results were made, by name.</summary>
    public IReadOnlyList<(string Name, Provenance Provenance)> Provenances { get; init; } =
        Result.Provenance is { } own ? [("value", own)] : [];

    public ReportSection(BenchmarkResult result, Workload workload)
        : this(result, workload.Description, workload.BatchSize) { }
}
