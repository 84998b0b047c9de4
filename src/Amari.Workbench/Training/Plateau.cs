namespace Amari.Training;

/// <summary>A part of a run that stayed at the loss of the best constant prediction: the network had learned only the mean of the targets
/// and nothing from its inputs.</summary>
/// <param name="Loss">The loss of the best constant prediction.</param>
/// <param name="FromStep">The step of the first evaluation.</param>
/// <param name="ToStep">The step of the last evaluation.</param>
/// <param name="Share">The share of the budget that it took.</param>
/// <param name="ToEnd">Whether it lasted to the end of the run.</param>
/// <param name="Tolerance">The maximum distance from that loss.</param>
/// <remarks>The tolerance is 2 % of the possible reduction of the loss, see <see cref="ConstantPrediction"/>. A plateau takes at least a
/// fifth of the budget and three evaluations: runs that only pass this loss have no plateau.</remarks>
public sealed record Plateau(double Loss, long FromStep, long ToStep, double Share, bool ToEnd, double Tolerance)
{
    private const double RelativeTolerance = 0.02,
        MinShare = 0.2;
    private const int MinEvaluations = 3;

    /// <summary>The longest plateau; null if there is none.</summary>
    /// <param name="losses">The evaluations.</param>
    /// <param name="constant">The best constant prediction; null if unknown.</param>
    /// <param name="used">The share of the budget that an evaluation had used.</param>
    internal static Plateau? Find(IReadOnlyList<LossPoint> losses, ConstantPrediction? constant, Func<LossPoint, double> used)
    {
        if (constant is not { } c || !(c.Loss > c.Saturated))
            return null;
        double tolerance = RelativeTolerance * (c.Loss - c.Saturated);
        Plateau? longest = null;
        for (int from = 0, to; from < losses.Count; from = to + 1)
        {
            to = from;
            if (!Rests(losses[from]))
                continue;
            while (to + 1 < losses.Count && Rests(losses[to + 1]))
                to++;
            double share = used(losses[to]) - used(losses[from]);
            if (to - from + 1 >= MinEvaluations && share >= MinShare && !(share <= longest?.Share))
                longest = new(c.Loss, losses[from].Step, losses[to].Step, share, to == losses.Count - 1, tolerance);
        }
        return longest;

        bool Rests(LossPoint p) => Math.Abs(p.Loss - c.Loss) <= tolerance;
    }
}
