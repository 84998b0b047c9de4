namespace Amari.Training;

/// <summary>A stretch of a run that rested at the loss of the best constant prediction: the network had learned the mean of the targets
/// and nothing of its inputs.</summary>
/// <param name="Loss">That loss.</param>
/// <param name="FromStep">The first evaluation of the stretch.</param>
/// <param name="ToStep">Its last.</param>
/// <param name="Share">The share of the budget that it took.</param>
/// <param name="ToEnd">Whether the run ended there.</param>
/// <param name="Tolerance">How far from that loss is still at rest.</param>
/// <remarks>An evaluation is at rest within 2 % of what there is to learn, <see cref="ConstantPrediction"/>. A stretch counts from a fifth
/// of the budget, and three
/// evaluations, on: runs that pass through do not rest.</remarks>
public sealed record Plateau(double Loss, long FromStep, long ToStep, double Share, bool ToEnd, double Tolerance)
{
    private const double Near = 0.02,
        MinShare = 0.2;
    private const int LeastEvaluations = 3;

    /// <summary>The longest stretch; null if there is none that counts.</summary>
    /// <param name="losses">The evaluations.</param>
    /// <param name="constant">The best constant prediction; null if it is not known.</param>
    /// <param name="used">The share of the budget used at an evaluation.</param>
    internal static Plateau? Find(IReadOnlyList<LossPoint> losses, ConstantPrediction? constant, Func<LossPoint, double> used)
    {
        if (constant is not { } c || !(c.Loss > c.Saturated))
            return null;
        double tolerance = Near * (c.Loss - c.Saturated);
        Plateau? longest = null;
        for (int from = 0, to; from < losses.Count; from = to + 1)
        {
            to = from;
            if (!Rests(losses[from]))
                continue;
            while (to + 1 < losses.Count && Rests(losses[to + 1]))
                to++;
            double share = used(losses[to]) - used(losses[from]);
            if (to - from + 1 >= LeastEvaluations && share >= MinShare && !(share <= longest?.Share))
                longest = new(c.Loss, losses[from].Step, losses[to].Step, share, to == losses.Count - 1, tolerance);
        }
        return longest;

        bool Rests(LossPoint p) => Math.Abs(p.Loss - c.Loss) <= tolerance;
    }
}
