using Amari.Native;

namespace Amari;

/// <summary>Steps by the learning rate and the momentum of the options. A KL clip bounds how far a step changes the predictions.</summary>
public sealed record FixedStep : StepRule
{
    internal const double Clip = 5e-4;

    /// <summary>μ in [0, 1): decay of the momentum. <see cref="KlClip"/> bounds a single direction, and the momentum adds up to 1 / (1 - μ)
    /// of them. So μ should be below the 0.9 of other methods.</summary>
    public double Momentum
    {
        get;
        init => field = Require.UnitInterval(value);
    } = 0.5;

    /// <summary>c > 0: upper bound of η² ⟨U, V⟩, which is twice the predicted KL divergence of a step; null for no bound.</summary>
    public double? KlClip
    {
        get;
        init => field = Require.PositiveOrNull(value);
    } = Clip;

    /// <summary>Adapts λ to how well a quadratic model predicts the loss; null for a fixed λ. It requires
    /// <see cref="Kfac.StepOnBatch"/>.</summary>
    public ModelledDamping? AdaptiveDamping { get; init; }

    internal override double? OwnMomentum => Momentum;

    internal override StepRule WithMomentum(double value) => this with { Momentum = value };

    internal override AdaptiveDamping? Adaptation => AdaptiveDamping;

    internal override long? ModelBatchSize => AdaptiveDamping?.BatchSize;

    /// <summary>Adaptive damping. The quadratic model is made only for the damping.</summary>
    public sealed record ModelledDamping : AdaptiveDamping
    {
        /// <inheritdoc cref="QuadraticStep.BatchSize"/>
        public long? BatchSize
        {
            get;
            init => field = value is { } n ? Require.AtLeast(1, n) : null;
        } = QuadraticStep.Examples;
    }
}
