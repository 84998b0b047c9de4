using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>The value that a run is timed to.</summary>
/// <param name="Metric">What is compared: <see cref="Loss"/>; a <see cref="Trainer"/> refuses any other.</param>
/// <param name="Value">Reached when the loss is at or below it; finite.</param>
public sealed record Target(string Metric, double Value)
{
    /// <summary>The mean loss over the training set, or its measured part.</summary>
    public const string Loss = "loss";
}
