using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>The loss that defines a run's time to target.</summary>
/// <param name="Metric">The compared quantity: <see cref="Loss"/>. A <see cref="Trainer"/> refuses any other.</param>
/// <param name="Value">The target is reached when the loss is at most this value; finite.</param>
public sealed record Target(string Metric, double Value)
{
    /// <summary>The mean loss over the training set or its measured part.</summary>
    public const string Loss = "loss";
}
