using Amari.Native;

namespace Amari;

/// <summary>When a least-squares problem counts as solved: each is reached at the first step that meets it.</summary>
public sealed record LeastSquaresTolerances
{
    /// <summary>Steps of 1e-13 and reductions of 1e-20: down to the rounding of float64. Those of a curve fit, whose steps are cheap, and
    /// of training on all data, which nothing else ends.</summary>
    public static LeastSquaresTolerances ToRounding { get; } = new() { Step = 1e-13, Reduction = 1e-20 };

    private const double Noise = 1e-9; // of a loss: below it, an actual reduction may be rounding, and the predicted one counts

    /// <summary>Largest <see cref="StepReport.GradientCosine"/>, ≥ 0.</summary>
    public double Gradient
    {
        get;
        init => field = Require.NonNegative(value);
    } = 1e-12;

    /// <summary>Largest <see cref="StepReport.RelativeStep"/> of a step that was taken, and that no damping made short, ≥ 0.</summary>
    public double Step
    {
        get;
        init => field = Require.NonNegative(value);
    } = 1e-11;

    /// <summary>Largest predicted reduction of the loss, as a share of the loss, ≥ 0; the actual one is then small too.</summary>
    public double Reduction
    {
        get;
        init => field = Require.NonNegative(value);
    } = 1e-15;

    /// <summary>The tolerance that a step meets; null if none.</summary>
    internal LeastSquaresStatus? Met(StepReport report)
    {
        if (report.Outcome == StepOutcome.Skipped)
            return null;
        if (report.GradientCosine <= Gradient)
            return LeastSquaresStatus.Gradient;
        if (report.Outcome != StepOutcome.Accepted || report.IsDamped)
            return null;
        if (report.RelativeStep <= Step)
            return LeastSquaresStatus.Step;
        double bound = Reduction * report.LossBefore;
        return
            Math.Abs(report.LossBefore - report.LossAfter) <= Math.Max(bound, Noise * report.LossBefore)
            && report.PredictedReduction <= bound
            ? LeastSquaresStatus.Reduction
            : null;
    }
}
