using System.Diagnostics;
using System.Globalization;
using Amari.Native;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The predicted cost of training with an optimizer on this machine.</summary>
/// <param name="Choice">The optimizer and its settings.</param>
/// <param name="Parameters">Number of trained parameters.</param>
/// <param name="StateBytes">Bytes of optimizer state; 0 if refused. Low-rank inverses count as after the calibration.</param>
/// <param name="Milliseconds">Mean milliseconds per step over the intervals at which curvature is refreshed, with batch, forward and
/// backward pass; NaN if refused.</param>
/// <param name="Plain">Milliseconds of a step without a refresh; NaN if refused.</param>
/// <param name="MinMilliseconds">Milliseconds of the fastest timed step; NaN if refused.</param>
/// <param name="MaxMilliseconds">Milliseconds of the slowest timed step; NaN if refused.</param>
/// <param name="FromStep">The step from which <paramref name="Milliseconds"/> holds: 1, or the step at which growing intervals
/// (<see cref="RefreshOptions.Warmup"/>) reach their final values. Earlier steps are more expensive. 0 if refused.</param>
/// <param name="Steps">Number of timed steps; 0 if refused.</param>
/// <param name="IsPreliminary">Whether the calibration ended before every kind of step had been timed after warm-up, because steps were
/// slow or it was stopped. <paramref name="Milliseconds"/> is then the mean of the timed steps.</param>
/// <param name="Refused">Why the optimizer cannot train this workload; null if it can.</param>
public sealed record StepPlan(
    OptimizerChoice Choice,
    long Parameters,
    long StateBytes,
    double Milliseconds,
    double Plain,
    double MinMilliseconds,
    double MaxMilliseconds,
    long FromStep,
    int Steps,
    bool IsPreliminary,
    string? Refused
);
