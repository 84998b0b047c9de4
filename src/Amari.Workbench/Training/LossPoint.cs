using Amari.Workloads;

namespace Amari.Training;

/// <summary>One evaluation during a run.</summary>
/// <param name="Step">Completed optimizer steps.</param>
/// <param name="Seconds">Training time so far, without evaluation.</param>
/// <param name="Loss">Mean loss over the training set.</param>
public readonly record struct LossPoint(long Step, double Seconds, double Loss);
