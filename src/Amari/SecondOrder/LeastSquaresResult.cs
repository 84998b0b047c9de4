using Amari.SecondOrder;
using static System.FormattableString;

namespace Amari;

/// <summary>How a least-squares problem was solved. The parameters hold the solution.</summary>
/// <param name="Status">Why it ended.</param>
/// <param name="Loss">½ |r|² at the end.</param>
/// <param name="Steps">Number of steps, rejected ones included.</param>
/// <param name="Evaluations">Number of evaluations of the residuals, not counting the linearizations.</param>
/// <param name="Linearizations">Number of Jacobians.</param>
/// <param name="Last">The report of the last step.</param>
public sealed record LeastSquaresResult(
    LeastSquaresStatus Status,
    double Loss,
    long Steps,
    long Evaluations,
    long Linearizations,
    StepReport Last
)
{
    /// <summary>Whether the parameters are a minimum up to a tolerance.</summary>
    public bool Converged => Status is LeastSquaresStatus.Gradient or LeastSquaresStatus.Step or LeastSquaresStatus.Reduction;

    /// <summary>The row of the Jacobian that is wrong.</summary>
    internal WrongRow? Wrong { get; init; }

    private string Count => Steps == 1 ? "1 step" : $"{Steps} steps";

    /// <summary>The status in one sentence, with its numbers and, if it is no minimum, what to try next.</summary>
    public string Reason =>
        Status switch
        {
            LeastSquaresStatus.Gradient => Invariant(
                $"Converged: the residuals are orthogonal to the columns of their Jacobian up to {Last.GradientCosine:G3}."
            ),
            LeastSquaresStatus.Step => Invariant(
                $"Converged: the last step was {Last.RelativeStep:G3} of the size of the problem, in units of the residuals."
            ),
            LeastSquaresStatus.Reduction => Invariant(
                $"Converged: the last step changed the loss by {Math.Abs(Last.LossBefore - Last.LossAfter) / Last.LossBefore:G3} of it."
            ),
            LeastSquaresStatus.Stuck when Last.GradientNorm == 0 => Invariant(
                $"The Jacobian is zero at the loss {Loss:G6}, so there is no step: "
            ) + "the residuals do not depend on the parameters here. Choose another start, or check the derivatives.",
            LeastSquaresStatus.Stuck => Invariant($"No step reduced the loss {Loss:G6} after {Count}, at the damping {Last.Damping:G3}: ")
                + "rounding hides the reduction (then float64 helps), or the residuals have a kink here.",
            LeastSquaresStatus.WrongJacobian => Invariant(
                $"The Jacobian is not that of the residuals after {Count} at the loss {Loss:G6}: along a direction, residual {Wrong!.Row} "
            ) + Invariant($"changes by {Wrong.Actual:G4}, the Jacobian says {Wrong.Claimed:G4}. Check the derivatives."),
            LeastSquaresStatus.NotFinite when Last.Outcome == StepOutcome.Rejected => Invariant(
                $"The residuals are not finite at any step that was tried after {Count}: the parameters are those of the last good step."
            ),
            LeastSquaresStatus.NotFinite when Steps <= 1 =>
                "The residuals or their Jacobian are not finite at the start: choose another one.",
            LeastSquaresStatus.NotFinite => Invariant(
                $"The residuals or their Jacobian are not finite after {Count}: the parameters are those of the last good step."
            ),
            _ when Last.IsSingular => Invariant($"The limit of {Count} was reached at the loss {Loss:G6}: ")
                + $"columns of the Jacobian are collinear up to the precision of the solver {Last.Solver}, and the damping that it needs "
                + $"makes steps short. Take {nameof(LinearSolver)}.{nameof(LinearSolver.Qr)}, or fewer parameters.",
            _ => Invariant($"The limit of {Count} was reached at the loss {Loss:G6} and gradient norm {Last.GradientNorm:G3}: allow more."),
        };
}
