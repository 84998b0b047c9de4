using System.Text.Json.Serialization;
using Amari.Native;

namespace Amari;

public sealed partial class Kfac
{
    /// <summary>Hyper-parameters of <see cref="Kfac"/>: those of one group, and those that all groups share.</summary>
    public sealed record Options : BaseOptions
    {
        /// <summary>How long steps are, and what momentum they have.</summary>
        public StepRule Step
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(Step));
        } = new AutoStep();

        /// <summary>κ > 1: bound on ⟨U, V⟩, the squared length of a step without its rate, in units of its running mean; null for none. A
        /// step beyond is cut to it and counted in <see cref="Kfac.Events"/>; where it is cut to less than half of its length, factors and
        /// inverses are measured with the next step. A step of the quadratic model is then also no longer than the whole natural step by
        /// the running factors, and halved where it changed predictions far more than the model says, and for the worse; null leaves that
        /// out, too.</summary>
        public double? MaxGrowth
        {
            get;
            init => field = Require.AboveOneOrNull(value);
        } = 4;

        /// <summary>Whether a step after which the loss of its batch is higher (or not finite) is taken back: parameters bit for bit, the
        /// momentum to zero, and an adaptive λ raised. What AdamW trains moves all the same. Call <see cref="StepOnBatch"/>.</summary>
        public bool StepRejection { get; init; }

        /// <summary>How the curvature is estimated, damped and inverted.</summary>
        public CurvatureOptions Curvature
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(Curvature));
        } = new();

        /// <summary>Whether the training loss is the mean or the sum over terms.</summary>
        public LossReduction Reduction
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Whether a parameter without a block is an error.</summary>
        public bool Strict { get; init; }

        /// <summary>Seed of the draws, and of the signs of the exact Fisher.</summary>
        public long Seed { get; init; }

        /// <summary>Whether the loss is to be known: <see cref="StepOnBatch"/> instead of <see cref="step"/>.</summary>
        internal bool EvaluatesLoss => Step.Adaptation is not null || StepRejection;

        /// <inheritdoc/>
        [JsonIgnore]
        public override double CycledMomentum => Step.OwnMomentum ?? double.NaN;

        /// <inheritdoc/>
        /// <remarks>The quadratic model finds its own momentum: nothing changes.</remarks>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Step = Step.WithMomentum(value) };

        /// <inheritdoc/>
        internal override void Validate()
        {
            base.Validate();
            Curvature.Validate();
        }
    }
}
