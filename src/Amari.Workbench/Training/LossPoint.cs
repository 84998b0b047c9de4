using Amari.Workloads;

namespace Amari.Training;

/// <summary>One evaluation during a run.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Seconds">Training time so far, evaluation not counted.</param>
/// <param name="Loss">Mean loss over the training set.</param>
public readonly record struct LossPoint(long Step, double Seconds, double Loss);
