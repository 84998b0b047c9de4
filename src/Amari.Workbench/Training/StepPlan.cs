using System.Diagnostics;
using System.Globalization;
using Amari.Native;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>What training with an optimizer will cost on this machine, before anybody trains.</summary>
/// <param name="Choice">The optimizer and its settings.</param>
/// <param name="Parameters">How many numbers are trained.</param>
/// <param name="StateBytes">What the optimizer will hold; 0 if refused. Inverses of low rank: as after the calibration.</param>
/// <param name="Milliseconds">Of a step, batch, forward and backward pass included, the mean over the intervals at which curvature is
/// renewed; NaN if refused.</param>
/// <param name="Plain">Milliseconds of a step that renews nothing; NaN if refused.</param>
/// <param name="Least">Milliseconds of the quickest step timed; NaN if refused.</param>
/// <param name="Most">Milliseconds of the slowest step timed; NaN if refused.</param>
/// <param name="From">The step from which on <paramref name="Milliseconds"/> holds: 1, or where intervals that grow
/// (<see cref="RefreshOptions.Warmup"/>) are as given. The steps before are dearer; 0 if refused.</param>
/// <param name="Steps">How many timed steps it rests on; 0 if refused.</param>
/// <param name="Hasty">Whether steps were too slow, or were stopped, before every kind of step was seen warm:
/// <paramref name="Milliseconds"/> is then the mean of those seen.</param>
/// <param name="Refused">Why it cannot train this workload; null if it can.</param>
public sealed record StepPlan(
    OptimizerChoice Choice,
    long Parameters,
    long StateBytes,
    double Milliseconds,
    double Plain,
    double Least,
    double Most,
    long From,
    int Steps,
    bool Hasty,
    string? Refused
);
