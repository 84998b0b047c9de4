using System.Text.Json.Serialization;
using Amari.Native;

namespace Amari;

public sealed partial class Kfac
{
    /// <summary>The options that each parameter group has for itself.</summary>
    public abstract record BaseOptions : OptimizerOptions
    {
        private protected BaseOptions()
            : base(learningRate: 0.1) { }

        /// <summary>λ > 0, added to the Fisher of one term's log-likelihood, in the unit of
        /// <see cref="CurvatureOptions.DampingScale"/>.</summary>
        public double Damping
        {
            get;
            init => field = Require.Positive(value);
        } = 3e-4;

        /// <summary>λw ≥ 0, multiplied by η with every step rule. The quadratic model does not include the decay: the predicted reduction
        /// in a <see cref="StepReport"/> is for the step without the decay, and the loss after the step includes it.</summary>
        public double WeightDecay
        {
            get;
            init => field = Require.NonNegative(value);
        }

        /// <summary>Options of the AdamW that trains parameters without a block. Its rate follows the group's: it is multiplied by η,
        /// relative to the η (if not 0) that the group had when the optimizer was made. Schedulers that drive the momentum do not change
        /// its β₁.</summary>
        public AdamW.Options Fallback
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(Fallback));
        } = new();

        /// <inheritdoc/>
        internal override void Validate() => Fallback.Validate();
    }

    /// <summary>The options of a further group. All other settings are those in the <see cref="Options"/> of the first group.</summary>
    public sealed record GroupOptions : BaseOptions
    {
        /// <summary>μ in [0, 1) of fixed steps; null takes that of the first group.</summary>
        public double? Momentum
        {
            get;
            init => field = value is { } momentum ? Require.UnitInterval(momentum) : null;
        }

        /// <inheritdoc/>
        [JsonIgnore]
        public override double CycledMomentum => Momentum ?? double.NaN;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Momentum = value };
    }
}
