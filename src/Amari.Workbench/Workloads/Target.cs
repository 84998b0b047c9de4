using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>The value that defines a run's time to target.</summary>
/// <param name="Metric">The quantity: <see cref="Loss"/>, <see cref="HeldOutLoss"/> or the name of the workload's metric, which is measured
/// on held-out examples.</param>
/// <param name="Value">A loss reaches it at this value or below, a metric at this value or better; finite.</param>
public sealed record Target(string Metric, double Value)
{
    /// <summary>The mean loss over the training set or its measured part.</summary>
    public const string Loss = "loss";

    /// <summary>The mean loss over the held-out examples.</summary>
    public const string HeldOutLoss = "held-out loss";

    /// <summary>What the value is, such as "the held-out loss of a linear model", in words that end the sentence "The target is". Answers
    /// and results contain it. Null if it is only a number.</summary>
    public string? Origin { get; init; }

    /// <summary>Whether the quantity is measured on held-out examples.</summary>
    public bool IsHeldOut => Metric != Loss;

    /// <summary>Whether a higher value is better.</summary>
    /// <param name="metric">The workload's metric.</param>
    internal bool HigherIsBetter(Metric metric) => Metric == metric.Name && metric.HigherIsBetter;

    /// <summary>The quantity at an evaluation.</summary>
    /// <param name="loss">The training loss.</param>
    /// <param name="heldOutLoss">NaN if there are no held-out examples.</param>
    /// <param name="metric">On held-out examples; NaN if there are none.</param>
    internal double Of(double loss, double heldOutLoss, double metric) =>
        Metric switch
        {
            Loss => loss,
            HeldOutLoss => heldOutLoss,
            _ => metric,
        };

    /// <summary>Whether a value reaches the target.</summary>
    internal bool IsReached(double value, bool higherIsBetter) => higherIsBetter ? value >= Value : value <= Value;
}
