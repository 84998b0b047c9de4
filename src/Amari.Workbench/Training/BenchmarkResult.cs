using Amari.Workloads;

namespace Amari.Training;

/// <summary>The result of <c>compare</c>: all runs on one workload.</summary>
/// <param name="Workload">Its name.</param>
/// <param name="Metric">The name of the metric beside the loss.</param>
/// <param name="Target">What the runs were timed to.</param>
/// <param name="Budget">How long each run trained.</param>
/// <param name="Runs">In the order asked for; several seeds of an optimizer follow one another.</param>
/// <param name="Trials">All tuning trials, if the optimizers were tuned.</param>
public sealed record BenchmarkResult(
    string Workload,
    string Metric,
    Target Target,
    Budget Budget,
    IReadOnlyList<TrainingRun> Runs,
    IReadOnlyList<Trial> Trials
);
