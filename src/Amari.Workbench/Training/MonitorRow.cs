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
