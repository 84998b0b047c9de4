using Amari.Native;

namespace Amari;

/// <summary>Chooses at the first step. It takes <see cref="QuadraticStep"/> if the batch has at least 16 times <see cref="BatchSize"/>
/// examples, and there is a likelihood and a model of one tensor. The passes of the quadratic model are then a small part of the step, and
/// the gradient has little noise. Otherwise it takes <see cref="FixedStep"/>, as it does where the loss is seen to be a multiple of the
/// likelihood's. See <see cref="Kfac.StepRule"/>.</summary>
public sealed record AutoStep : StepRule
{
    /// <summary>The momentum of fixed steps: see <see cref="FixedStep.Momentum"/>.</summary>
    public double Momentum
    {
        get;
        init => field = Require.UnitInterval(value);
    } = 0.5;

    /// <summary>The KL clip of fixed steps: see <see cref="FixedStep.KlClip"/>.</summary>
    public double? KlClip
    {
        get;
        init => field = Require.PositiveOrNull(value);
    } = FixedStep.Clip;

    /// <summary>The examples of the quadratic model: see <see cref="QuadraticStep.BatchSize"/>. Null means all examples, and therefore
    /// fixed steps.</summary>
    public long? BatchSize
    {
        get;
        init => field = value is { } n ? Require.AtLeast(1, n) : null;
    } = QuadraticStep.Examples;

    /// <summary>Adapts λ to how well the quadratic model predicts the loss; null for a fixed λ. It requires
    /// <see cref="Kfac.StepOnBatch"/>.</summary>
    public AdaptiveDamping? AdaptiveDamping { get; init; }

    internal override double? OwnMomentum => Momentum;

    internal override StepRule WithMomentum(double value) => this with { Momentum = value };

    internal override AdaptiveDamping? Adaptation => AdaptiveDamping;

    internal override long? ModelBatchSize => BatchSize;

    /// <summary>What it is where it chooses fixed steps.</summary>
    internal FixedStep AsFixed() =>
        new()
        {
            Momentum = Momentum,
            KlClip = KlClip,
            AdaptiveDamping = AdaptiveDamping is { } a
                ? new()
                {
                    Decay = a.Decay,
                    Interval = a.Interval,
                    BatchSize = BatchSize,
                }
                : null,
        };

    /// <summary>What it is where it chooses the quadratic model.</summary>
    internal QuadraticStep AsQuadratic() => new() { BatchSize = BatchSize, AdaptiveDamping = AdaptiveDamping };
}
