using Amari.Reporting;
using Amari.Spectrum;

namespace Amari.Training;

/// <summary>What a <see cref="CurvatureMonitor"/> saw after a step. What was not asked for, or does not exist, is null.</summary>
public sealed record MonitorRow
{
    /// <summary>Optimizer steps done.</summary>
    public required long Step { get; init; }

    /// <summary>Training time so far, the monitor's own not counted.</summary>
    public required double Seconds { get; init; }

    /// <summary>η of the optimizer's first group.</summary>
    public double? LearningRate { get; init; }

    /// <summary>The largest eigenvalue of the Hessian on the sample; NaN when the Hessian is not finite, or the model has none.</summary>
    public double? Sharpness { get; init; }

    /// <summary>‖H v - λ v‖: an eigenvalue lies within it of <see cref="Sharpness"/>.</summary>
    public double? SharpnessResidual { get; init; }

    /// <summary>The sharpness above which the optimizer turns unstable; null if it is not gradient descent.</summary>
    public double? StabilityBound { get; init; }

    /// <summary>The largest eigenvalues of the Hessian, falling.</summary>
    public IReadOnlyList<double>? Eigenvalues { get; init; }

    /// <summary>B_simple in examples; NaN or negative where the gradient is lost in the noise of the sample.</summary>
    public Estimate? NoiseScale { get; init; }

    /// <summary>KL( p(·|w before) ‖ p(·|w after) ), mean over the sample's terms; null at the first measurement, which no step leads
    /// to.</summary>
    public double? Kl { get; init; }

    /// <summary>How many steps lie between before and after: 1 when every step is observed.</summary>
    public long? KlSteps { get; init; }

    /// <summary>How well conditioned K-FAC's factors are, layer by layer; null for another optimizer.</summary>
    public IReadOnlyList<FactorCondition>? Factors { get; init; }

    /// <summary>What the step did, for a second-order method.</summary>
    public StepReport? Report { get; init; }
}

/// <summary>A row, and whose it is.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Seed">The run's seed.</param>
/// <param name="Row">The row: a measurement, or only what a step of a second-order method reports of itself.</param>
public readonly record struct MonitorLine(string Optimizer, int Seed, MonitorRow Row);

/// <summary>All measurements of one run, and what they cost.</summary>
/// <param name="Quantities">What was measured.</param>
/// <param name="Rows">In the order of steps.</param>
/// <param name="TargetShare">The share of the run time that was asked for.</param>
/// <param name="Share">The share that was taken, the first measurement and the last not counted.</param>
/// <param name="EndSeconds">What the first measurement took, warming up included, and those that were not waited for, such as the
/// last.</param>
/// <param name="Seconds">What the others took.</param>
/// <param name="BoundRule">The formula of the stability bound; null if the optimizer has none.</param>
public sealed record MonitorResult(
    MonitorQuantities Quantities,
    IReadOnlyList<MonitorRow> Rows,
    double TargetShare,
    double Share,
    double EndSeconds,
    double Seconds,
    string? BoundRule
);
