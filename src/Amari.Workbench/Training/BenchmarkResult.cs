using Amari.Workloads;

namespace Amari.Training;

/// <summary>The result of <c>compare</c>: all runs on one workload.</summary>
/// <param name="Workload">The name of the workload.</param>
/// <param name="Metric">The name of its metric.</param>
/// <param name="Target">The target of the runs.</param>
/// <param name="Budget">The budget of each run.</param>
/// <param name="Runs">Ordered by optimizer as requested; the seeds of an optimizer are consecutive.</param>
/// <param name="Trials">All tuning trials, if the optimizers were tuned.</param>
public sealed record BenchmarkResult(
    string Workload,
    string Metric,
    Target Target,
    Budget Budget,
    IReadOnlyList<TrainingRun> Runs,
    IReadOnlyList<Trial> Trials
);
