using Amari.Solvers;

namespace Amari;

/// <summary>What one step of a second-order method did. A value that the method does not have is null.</summary>
public sealed record StepReport
{
    /// <summary>The optimizer step, from 1.</summary>
    public required long Step { get; init; }

    /// <summary>Whether the parameters moved.</summary>
    public required StepOutcome Outcome { get; init; }

    /// <summary>L at the parameters before the step, on the step's batch.</summary>
    public required double LossBefore { get; init; }

    /// <summary>L on the same batch at the parameters as the step left them; NaN where no option of the method asks for it.</summary>
    public required double LossAfter { get; init; }

    /// <summary>|g|, before clipping.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>The factor on the direction: the learning rate, what a line search left of it, or that of the trust region.</summary>
    public double StepSize { get; init; }

    /// <summary>|Δw| of the trial step.</summary>
    public double StepNorm { get; init; }

    /// <summary>-(g'Δ + ½ Δ'CΔ): what the quadratic model without damping promised of the trial step.</summary>
    public double? PredictedReduction { get; init; }

    /// <summary>ρ, the actual over the predicted reduction of the trial step, with the rounding error of the loss added to both;
    /// -∞ where the trial loss was not finite.</summary>
    public double? ReductionRatio { get; init; }

    /// <summary>λ of this step.</summary>
    public double? Damping { get; init; }

    /// <summary>Δ, the trust radius of this step.</summary>
    public double? Radius { get; init; }

    /// <summary>Products with the curvature that the inner iteration made.</summary>
    public int? CgIterations { get; init; }

    /// <summary>Why conjugate gradient stopped.</summary>
    public CgStatus? CgStatus { get; init; }

    /// <summary>Why the truncated conjugate gradient of a trust region stopped.</summary>
    public SteihaugStatus? SteihaugStatus { get; init; }

    /// <summary>How the natural gradient was solved for.</summary>
    public FisherSolver? FisherSolver { get; init; }

    /// <summary>KL( p(·|w) ‖ p(·|w+Δ) ) that the trust region asked for, mean over terms.</summary>
    public double? TargetKl { get; init; }

    /// <summary>The same KL as it came out, exactly.</summary>
    public double? AchievedKl { get; init; }

    /// <summary>Quasi-Newton iterations made.</summary>
    public int? Iterations { get; init; }

    /// <summary>Evaluations of the loss and its gradient, the one before the step included.</summary>
    public int? Evaluations { get; init; }

    /// <summary>Whether a direction of negative curvature was met.</summary>
    public bool? NegativeCurvature { get; init; }

    /// <summary>What was measured, in one line; what the method has not is left out.</summary>
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
