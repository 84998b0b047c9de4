namespace Amari.Training;

/// <summary>The values of an evaluation.</summary>
/// <param name="Loss">The mean loss over the training set or its measured part.</param>
/// <param name="HeldOutLoss">The mean loss over the test set; null if nothing is held out, NaN if only the
/// metric is (<see cref="Workloads.Metric.OfModel"/>).</param>
/// <param name="Metric">The workload's metric over the test set, or without one over the examples of the loss; or that of the
/// model.</param>
internal readonly record struct Measurement(double Loss, double? HeldOutLoss, double Metric)
{
    /// <summary>The workload's <see cref="Workloads.Workload.Describe"/>.</summary>
    public Workloads.ModelTable? Table { get; init; }
}
