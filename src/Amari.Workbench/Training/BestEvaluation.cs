using Amari.Workloads;

namespace Amari.Training;

/// <summary>The evaluation with the least loss of a run; of equal ones the earliest.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Seconds">Training time so far, evaluation not counted.</param>
/// <param name="Loss">Mean loss over the training set, or its measured part; finite.</param>
/// <param name="Metric">The workload's metric there; NaN in a run that was continued from a checkpoint of an earlier version.</param>
public readonly record struct BestEvaluation(long Step, double Seconds, double Loss, double Metric);
