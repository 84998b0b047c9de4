using Amari.Optimizers;

namespace Amari.Training;

/// <summary>The predicted cost of training with an optimizer on this machine.</summary>
/// <param name="Choice">The optimizer and its settings.</param>
/// <param name="Parameters">Number of trained parameters.</param>
/// <param name="PlannedSteps">Number of steps to time. It does not depend on the machine.</param>
public sealed record StepPlan(OptimizerChoice Choice, long Parameters, int PlannedSteps)
{
    /// <summary>Why the optimizer cannot train this workload; null if it can.</summary>
    public string? Refused { get; init; }

    /// <summary>Bytes of optimizer state; 0 if refused. Low-rank inverses count as after the calibration.</summary>
    public long StateBytes { get; init; }

    /// <summary>Mean milliseconds per step over the intervals at which curvature is refreshed, with batch, forward and backward pass; NaN
    /// if refused.</summary>
    public double Milliseconds { get; init; } = double.NaN;

    /// <summary>The spread of <see cref="Milliseconds"/> in the calibration: the mean if each kind of step took its smallest time, its
    /// lower quartile, and so on. For a method that evaluates the loss itself, the spread of single steps.</summary>
    public Quartiles Spread { get; init; }

    /// <summary>The kinds of steps, from the most frequent to the rarest. There is one if all steps are alike, if they differ in inner
    /// iterations, or if the calibration ended before a whole cycle of kinds; none if refused.</summary>
    public IReadOnlyList<StepKind> Kinds { get; init; } = [];

    /// <summary>Mean processor milliseconds per step, of all threads. Other processes change it less than <see cref="Milliseconds"/>; NaN
    /// if refused.</summary>
    public double CpuMilliseconds { get; init; } = double.NaN;

    /// <summary>The share of the time in which threads of this process could run but other processes had the processors. Above a fifth,
    /// times are too long. Null if the system does not report it (Linux does) or if refused.</summary>
    public double? WaitedForCpu { get; init; }

    /// <summary>The step from which <see cref="Milliseconds"/> holds: 1, or the step at which growing intervals
    /// (<see cref="RefreshOptions.Warmup"/>) reach their final values. Earlier steps are more expensive. 0 if refused.</summary>
    public long FromStep { get; init; }

    /// <summary>Number of timed steps; 0 if refused.</summary>
    public int Steps { get; init; }

    /// <summary>Whether fewer steps than planned were timed, because the time limit was reached or the calibration was stopped. If not even
    /// a whole cycle of steps was timed, <see cref="Milliseconds"/> is the mean of the timed steps.</summary>
    public bool IsPreliminary { get; init; }
}
