using Amari.Native;

namespace Amari;

/// <summary>Steps to the minimum of the quadratic model with the exact Fisher over the plane of the new direction and the last step
/// (Martens and Grosse 2015, arXiv:1503.05671, §6.4 and §7).</summary>
/// <remarks>The model has its own momentum and needs no clip; the step is multiplied by the learning rate over the largest one so far, so
/// that schedules hold. A step costs seven forward passes of <see cref="BatchSize"/> examples more, or of the whole batch where those do
/// not show its slope. Two of them compare the change of the prediction with the model: where it is more than eight times as large, the
/// step is halved until it is not.</remarks>
public sealed record QuadraticStep : StepRule
{
    internal const long Examples = 32;

    /// <summary>Most examples of a batch that the curvature of the quadratic model is taken from, ≥ 1, its first ones (over ranks, the
    /// first of the whole batch); null for all. The slope is that of the whole batch (Martens and Grosse 2015, §8: a quarter of the
    /// batch does); where theirs differs from it by more than half, the whole batch is taken, and an event is logged (not compared where
    /// dropout or the statistics of a batch make training another function).</summary>
    public long? BatchSize
    {
        get;
        init => field = value is { } n ? Require.AtLeast(1, n) : null;
    } = Examples;

    /// <summary>Whether λ follows how well the model predicts the loss; null for a fixed λ. Call <see cref="Kfac.StepOnBatch"/>.</summary>
    public AdaptiveDamping? AdaptiveDamping { get; init; }

    /// <summary>Whether the damping γ² of the inverses parts from the λ of the model (Martens and Grosse 2015, §6.6); null where both
    /// are λ.</summary>
    public FactorAdaptation? FactorDamping { get; init; }

    internal override AdaptiveDamping? Adaptation => AdaptiveDamping;

    internal override bool MakesModel => true;

    internal override long? ModelBatchSize => BatchSize;

    /// <summary>The damping γ² of the inverses begins as λ, and every T steps the best of γ, ωᵀᐟ² γ and γ / ωᵀᐟ² by the model's minimum is
    /// taken, at the cost of four refreshes.</summary>
    public sealed record FactorAdaptation
    {
        /// <summary>ω in (0, 1).</summary>
        public double Decay
        {
            get;
            init => field = Require.Share(value);
        } = 0.95;

        /// <summary>T ≥ 1.</summary>
        public int Interval
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 20;
    }
}
