using Amari.Solvers;

namespace Amari;

/// <summary>What one step of a second-order method did. A value that the method does not have is null.</summary>
public sealed record StepReport
{
    /// <summary>The optimizer step, from 1.</summary>
    public required long Step { get; init; }

    /// <summary>Whether the parameters moved.</summary>
    public required StepOutcome Outcome { get; init; }

    /// <summary>The loss before the step, on the batch of the step.</summary>
    public required double LossBefore { get; init; }

    /// <summary>The loss after the step, on the same batch; NaN if no option of the method needs it.</summary>
    public required double LossAfter { get; init; }

    /// <summary>|g|, before clipping.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>The factor on the direction: the learning rate, or the result of a line search or trust region.</summary>
    public double StepSize { get; init; }

    /// <summary>|Δw| of the trial step.</summary>
    public double StepNorm { get; init; }

    /// <summary>-(g'Δ + ½ Δ'CΔ): the reduction that the quadratic model without damping predicts for the trial step.</summary>
    public double? PredictedReduction { get; init; }

    /// <summary>ρ: the actual divided by the predicted reduction of the trial step, where the rounding error of the loss is added to both.
    /// -∞ if the trial loss was not finite.</summary>
    public double? ReductionRatio { get; init; }

    /// <summary>λ of this step.</summary>
    public double? Damping { get; init; }

    /// <summary>Δ, the trust radius of this step.</summary>
    public double? Radius { get; init; }

    /// <summary>Number of curvature products in the inner iteration.</summary>
    public int? CgIterations { get; init; }

    /// <summary>Why conjugate gradient stopped.</summary>
    public CgStatus? CgStatus { get; init; }

    /// <summary>Why the truncated conjugate gradient of a trust region stopped.</summary>
    public SteihaugStatus? SteihaugStatus { get; init; }

    /// <summary>How the linear system of the step was solved, where there is a choice.</summary>
    public LinearSolverKind? Solver { get; init; }

    /// <summary>The target of the trust region for KL( p(·|w) ‖ p(·|w+Δ) ), as a mean over terms.</summary>
    public double? TargetKl { get; init; }

    /// <summary>The actual value of the same KL divergence.</summary>
    public double? AchievedKl { get; init; }

    /// <summary>Number of quasi-Newton iterations.</summary>
    public int? Iterations { get; init; }

    /// <summary>Number of evaluations of the loss and its gradient, including the one before the step; of a least-squares method, of the
    /// residuals, not counting the one linearization.</summary>
    public int? Evaluations { get; init; }

    /// <summary>Number of dampings, or of step lengths, that a least-squares method tried.</summary>
    public int? Trials { get; init; }

    /// <summary>2 |δ₂| / |δ₁| of the trial step v + ½ a: how large the geodesic acceleration δ₂ = ½ a is against the velocity δ₁ =
    /// v.</summary>
    public double? Acceleration { get; init; }

    /// <summary>The largest |cos| of an angle between the residuals and a column of their Jacobian, before the step: 0 at a minimum, of no
    /// unit (MINPACK's gtol).</summary>
    public double? GradientCosine { get; init; }

    /// <summary>|D Δ| / max(|J w|, |r|) of the trial step, where D are the norms of the columns of the Jacobian J, and r the
    /// residuals.</summary>
    public double? RelativeStep { get; init; }

    /// <summary>Whether the step is short because of its damping, though the gradient promises more: then its size says nothing about the
    /// distance to a minimum.</summary>
    internal bool IsDamped { get; init; }

    /// <summary>Whether the damping is as large as it is because rounding makes the matrix indefinite, or its solutions wrong, below
    /// it.</summary>
    internal bool IsSingular { get; init; }

    /// <summary>Whether the ratio says nothing, as the loss changed and was to change by no more than rounding.</summary>
    internal bool IsHidden { get; init; }

    /// <summary>Why a further step on the same residuals would change nothing; null where it may.</summary>
    public LeastSquaresStatus? LeastSquaresStatus { get; init; }

    /// <summary>Whether a direction of negative curvature was met.</summary>
    public bool? NegativeCurvature { get; init; }

    /// <summary>The values in one line; those that the method does not have are left out.</summary>
    public override string ToString() =>
        string.Join(
            ", ",
            GetType()
                .GetProperties()
                .Select(p => (p.Name, Value: p.GetValue(this)))
                .Where(p => p.Value is not null)
                .Select(p => p.Value is double number ? FormattableString.Invariant($"{p.Name} {number:G4}") : $"{p.Name} {p.Value}")
        );
}
