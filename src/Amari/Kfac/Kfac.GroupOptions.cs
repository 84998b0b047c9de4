using System.Text.Json.Serialization;
using Amari.Native;

namespace Amari;

public sealed partial class Kfac
{
    /// <summary>What every parameter group has of its own.</summary>
    public abstract record BaseOptions : OptimizerOptions
    {
        private protected BaseOptions()
            : base(learningRate: 0.1) { }

        /// <summary>λ > 0, added to the Fisher of one term's log-likelihood; in units of
        /// <see cref="CurvatureOptions.DampingScale"/>.</summary>
        public double Damping
        {
            get;
            init => field = Require.Positive(value);
        } = 3e-4;

        /// <summary>λw ≥ 0, multiplied by η whatever the step rule. No quadratic model knows of it: what a <see cref="StepReport"/> says
        /// was promised is of the step without the decay, and the loss after the step has both.</summary>
        public double WeightDecay
        {
            get;
            init => field = Require.NonNegative(value);
        }

        /// <summary>Options of the AdamW that trains what has no block. Its rate follows the group's: it is multiplied by η over the η (if
        /// not 0) that the group had when the optimizer was made. Schedulers that drive momentum leave β₁.</summary>
        public AdamW.Options Fallback
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(Fallback));
        } = new();

        /// <inheritdoc/>
        internal override void Validate() => Fallback.Validate();
    }

    /// <summary>What is a further group's own: every other setting is that of the first group's <see cref="Options"/>.</summary>
    public sealed record GroupOptions : BaseOptions
    {
        /// <summary>μ in [0, 1) of fixed steps; null for the first group's.</summary>
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
