using Amari.Workloads;

namespace Amari.Training;

/// <summary>The evaluation of a run with the lowest loss; the earliest of equal ones.</summary>
/// <param name="Step">Completed optimizer steps.</param>
/// <param name="Seconds">Training time so far, without evaluation.</param>
/// <param name="Loss">Mean loss over the training set or its measured part; finite.</param>
/// <param name="Metric">The workload's metric at this evaluation; NaN in a run continued from a checkpoint of an earlier version.</param>
public readonly record struct BestEvaluation(long Step, double Seconds, double Loss, double Metric);
