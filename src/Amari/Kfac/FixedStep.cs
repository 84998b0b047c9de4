using Amari.Native;

namespace Amari;

/// <summary>Steps by the learning rate and the momentum of the options, within a bound on the change of predictions.</summary>
public sealed record FixedStep : StepRule
{
    /// <summary>μ in [0, 1): decay of the momentum. <see cref="KlClip"/> bounds one direction, of which the momentum adds up to 1 / (1 -
    /// μ): less than the 0.9 of other methods is right.</summary>
    public double Momentum
    {
        get;
        init => field = Require.UnitInterval(value);
    } = 0.5;

    /// <summary>c > 0: bound on η² ⟨U, V⟩, twice the KL divergence that a step is predicted to cause; null for none.</summary>
    public double? KlClip
    {
        get;
        init => field = Require.PositiveOrNull(value);
    } = 1e-3;

    /// <summary>Whether λ follows how well a quadratic model predicts the loss; null for a fixed λ. Call
    /// <see cref="Kfac.StepOnBatch"/>.</summary>
    public ModelledDamping? AdaptiveDamping { get; init; }

    internal override double? OwnMomentum => Momentum;

    internal override StepRule WithMomentum(double value) => this with { Momentum = value };

    internal override AdaptiveDamping? Adaptation => AdaptiveDamping;

    internal override long? ModelBatchSize => AdaptiveDamping?.BatchSize;

    /// <summary>Adaptive damping by a quadratic model that is made for it alone.</summary>
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
