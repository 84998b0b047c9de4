namespace Amari.Training;

/// <summary>One evaluation on held-out examples: the test set, or the validation part in a tuning trial.</summary>
/// <param name="Step">Completed optimizer steps.</param>
/// <param name="Seconds">Training time so far, without evaluation.</param>
/// <param name="Loss">Mean loss; NaN if only the metric is held out (<see cref="Workloads.Metric.OfModel"/>).</param>
/// <param name="Metric">The workload's metric.</param>
public readonly record struct HeldOutPoint(long Step, double Seconds, double Loss, double Metric);
