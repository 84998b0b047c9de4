using Amari.Reporting;
using Amari.Spectrum;

namespace Amari.Training;

/// <summary>A measurement of a <see cref="CurvatureMonitor"/> after a step. Quantities that were not requested or do not exist are
/// null.</summary>
public sealed record MonitorRow
{
    /// <summary>Completed optimizer steps.</summary>
    public required long Step { get; init; }

    /// <summary>Training time so far, without the monitor's.</summary>
    public required double Seconds { get; init; }

    /// <summary>η of the optimizer's first group.</summary>
    public double? LearningRate { get; init; }

    /// <summary>The largest eigenvalue of the Hessian on the sample; NaN if the Hessian is not finite or the model has none.</summary>
    public double? Sharpness { get; init; }

    /// <summary>‖H v - λ v‖: an eigenvalue lies within this of <see cref="Sharpness"/>.</summary>
    public double? SharpnessResidual { get; init; }

    /// <summary>The sharpness above which the optimizer is unstable; null if it is not gradient descent.</summary>
    public double? StabilityBound { get; init; }

    /// <summary>The largest eigenvalues of the Hessian, descending.</summary>
    public IReadOnlyList<double>? Eigenvalues { get; init; }

    /// <summary>B_simple in examples; NaN or negative if the gradient is below the noise of the sample.</summary>
    public Estimate? NoiseScale { get; init; }

    /// <summary>KL( p(·|w before) ‖ p(·|w after) ), mean over the sample's terms; null at the first measurement, which no step
    /// precedes.</summary>
    public double? Kl { get; init; }

    /// <summary>Steps between before and after: 1 if every step is observed.</summary>
    public long? KlSteps { get; init; }

    /// <summary>The condition numbers of K-FAC's factors by layer; null for other optimizers.</summary>
    public IReadOnlyList<FactorCondition>? Factors { get; init; }

    /// <summary>The report of the step, for a second-order method.</summary>
    public StepReport? Report { get; init; }
}
