using Amari.Curvature;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

// Steps that are tried, and what is reported of those that are not.
public abstract partial class SecondOrderOptimizer<TOptions>
{
    /// <summary>The first parameter whose gradient is not finite, if the loss is.</summary>
    private static string NotFinite(ParameterLayout layout, double loss, Tensor gradient) =>
        !double.IsFinite(loss)
            ? "all"
            : layout
                .Parameters.Zip(layout.Split(gradient))
                .Where(p => p.Second.numel() > 0 && !IsFinite(p.Second))
                .Select(p => p.First.Name)
                .FirstOrDefault("all");

    /// <summary>The report of a step that what is not finite keeps from being tried. The method has changed nothing yet.</summary>
    /// <param name="loss">L(w).</param>
    /// <param name="parameter">The first one whose gradient it is; <c>all</c> if it is the loss, or the curvature.</param>
    /// <param name="curvature">Whether it is the curvature.</param>
    private protected StepReport Skipped(double loss, string parameter = "all", bool curvature = false)
    {
        string what =
            curvature ? "the curvature"
            : parameter == "all" ? "the loss or its gradient"
            : "its gradient";
        CountSkipped(parameter == "all" ? $"{what} was not finite" : EventLog.GradientNotFinite, Steps - 1);
        Log($"{what} was not finite; the step was skipped", parameter);
        return new()
        {
            Step = Steps,
            Outcome = StepOutcome.Skipped,
            LossBefore = loss,
            LossAfter = loss,
            GradientNorm = GradientNorm,
        };
    }

    /// <summary>Whether no number of a matrix or vector is infinite or NaN.</summary>
    private protected static bool IsFinite(Tensor x) => double.IsFinite(GradientCheck.LargestMagnitude(x));

    private const int Halvings = 30;

    /// <summary>Tries w + s D; keeps it if the loss there is finite and the reduction at least a share of what the model
    /// promises.</summary>
    /// <param name="objective">L.</param>
    /// <param name="loss">L(w).</param>
    /// <param name="direction">D : [d].</param>
    /// <param name="size">s.</param>
    /// <param name="promised">The reduction that the model promises of s D, by s.</param>
    /// <param name="least">The smallest ρ that is accepted; any, if it is -∞.</param>
    /// <param name="reached">Called where the step ends, if it is accepted.</param>
    /// <param name="gradient">g : [d], where <see cref="StepReport.IsHidden"/> is asked for.</param>
    /// <param name="shorten">Whether a step that raises the loss is halved until it does not. One that rises otherwise is reported.</param>
    private protected StepReport Try(
        Objective objective,
        double loss,
        Tensor direction,
        double size,
        Func<double, double> promised,
        double least = double.NegativeInfinity,
        bool shorten = false,
        Action? reached = null,
        Tensor? gradient = null
    )
    {
        using var trial = new TrialStep(objective, loss);
        double after = trial.LossAt(direction, size);
        for (int i = 0; shorten && i < Halvings && trial.Rises(after); i++)
        {
            if (i == 0)
                Log("the step raised the loss of its batch and was shortened");
            after = trial.LossAt(direction, size /= 2);
        }
        double ratio = trial.ReductionRatio(after, promised(size));
        bool rises = trial.Rises(after),
            accepted = double.IsFinite(after) && ratio >= least && !(shorten && rises);
        if (accepted)
        {
            reached?.Invoke();
            trial.Keep();
        }
        if (accepted && rises)
        {
            Log("the step raised the loss of its batch");
            Warnings.Once($"{GetType().Name}: a step raised the loss of its batch. StepRejection of its options shortens such steps.");
        }
        return Made(accepted, loss, after, direction, size, promised(size), ratio) with
        {
            IsHidden = gradient is not null && trial.Hides(after, promised(size), gradient),
        };
    }

    /// <summary>The report of a trial step s D.</summary>
    private protected StepReport Made(
        bool accepted,
        double loss,
        double after,
        Tensor direction,
        double size,
        double? predicted,
        double? ratio
    ) =>
        new()
        {
            Step = Steps,
            Outcome = accepted ? StepOutcome.Accepted : StepOutcome.Rejected,
            LossBefore = loss,
            LossAfter = accepted ? after : loss,
            GradientNorm = GradientNorm,
            StepSize = size,
            StepNorm = Math.Abs(size) * direction.norm().ToDouble(),
            PredictedReduction = predicted,
            ReductionRatio = ratio,
        };

    /// <summary>A report of a step that could not be made.</summary>
    private protected StepReport NoStep(double loss, string message)
    {
        Log(message);
        return new()
        {
            Step = Steps,
            Outcome = StepOutcome.Rejected,
            LossBefore = loss,
            LossAfter = loss,
            GradientNorm = GradientNorm,
        };
    }

    /// <summary>u'v.</summary>
    private protected static double Dot(Tensor u, Tensor v)
    {
        using var dot = u.dot(v);
        return dot.ToDouble();
    }
}
