using Amari.Native;

namespace Amari;

/// <summary>Steps to the minimum of a quadratic model of the loss with the exact Fisher, over the plane of the new direction and the last
/// step (Martens and Grosse 2015, arXiv:1503.05671, §6.4 and §7).</summary>
/// <remarks>The model determines the momentum, and needs no clip. The step is multiplied by the learning rate divided by the largest rate
/// so far, so schedules have an effect. A step takes seven more forward passes of <see cref="BatchSize"/> examples, or of the whole batch
/// if those examples do not represent its slope. Two of these passes compare the change of the predictions with the model. If the change is
/// more than eight times as large, the step is halved until it is not.</remarks>
public sealed record QuadraticStep : StepRule
{
    internal const long Examples = 32;

    /// <summary>Maximum number of examples for the curvature of the quadratic model, ≥ 1; null for all. The first examples of the batch are
    /// taken (with several ranks, of the whole batch). The slope is that of the whole batch (Martens and Grosse 2015, §8, who take a
    /// quarter of the batch). If the slope of these examples differs from the batch's by more than 50 %, the full batch is used and an
    /// event is logged. The slopes are not compared if dropout or batch statistics make the model in training another function.</summary>
    public long? BatchSize
    {
        get;
        init => field = value is { } n ? Require.AtLeast(1, n) : null;
    } = Examples;

    /// <summary>Adapts λ to how well the model predicts the loss; null for a fixed λ. It requires <see cref="Kfac.StepOnBatch"/>.</summary>
    public AdaptiveDamping? AdaptiveDamping { get; init; }

    /// <summary>Adapts the damping γ² of the inverses separately from the λ of the model (Martens and Grosse 2015, §6.6); null if both are
    /// λ.</summary>
    public FactorAdaptation? FactorDamping { get; init; }

    internal override AdaptiveDamping? Adaptation => AdaptiveDamping;

    internal override bool MakesModel => true;

    internal override long? ModelBatchSize => BatchSize;

    /// <summary>The damping γ² of the inverses starts as λ. Every T steps, the best of γ, ωᵀᐟ² γ and γ / ωᵀᐟ² is chosen by the minimum of
    /// the quadratic model, at the cost of four refreshes.</summary>
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
