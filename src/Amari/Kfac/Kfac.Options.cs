using System.Text.Json.Serialization;
using Amari.Native;

namespace Amari;

public sealed partial class Kfac
{
    /// <summary>The options of <see cref="Kfac"/>: those of the first group, and those that all groups share.</summary>
    public sealed record Options : BaseOptions
    {
        /// <summary>How the length of a step and its momentum are determined.</summary>
        public StepRule Step
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(Step));
        } = new AutoStep();

        /// <summary>κ > 1: upper bound of ⟨U, V⟩, the squared length of a step without its rate, relative to its running mean; null for no
        /// bound. A longer step is cut to the bound, and <see cref="Kfac.Events"/> counts it. If a step is cut to less than half of its
        /// length, factors and inverses are measured again at the next step.
        /// A step of the quadratic model has three further bounds. It is at most as long as the full natural-gradient step of the running
        /// factors. It is halved if it changes the predictions far more than the model predicts, and raises the loss. And it is shortened
        /// if steps go too far by the slopes of the batches after them. Null removes these bounds, too.</summary>
        public double? MaxGrowth
        {
            get;
            init => field = Require.AboveOneOrNull(value);
        } = 4;

        /// <summary>Whether a step is undone if the loss of its batch is then higher or not finite. The parameters are restored bit for
        /// bit, the momentum is set to zero, and an adaptive λ is raised. Parameters that AdamW trains are not restored. It requires
        /// <see cref="StepOnBatch"/>.</summary>
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

        /// <summary>Whether a parameter without a block is an error. Otherwise AdamW trains it.</summary>
        public bool Strict { get; init; }

        /// <summary>Seed of the random draws, and of the random signs of the exact Fisher.</summary>
        public long Seed { get; init; }

        /// <summary>Whether a step needs the loss, so that it is <see cref="StepOnBatch"/> instead of <see cref="step"/>.</summary>
        internal bool EvaluatesLoss => Step.Adaptation is not null || StepRejection;

        /// <inheritdoc/>
        [JsonIgnore]
        public override double CycledMomentum => Step.OwnMomentum ?? double.NaN;

        /// <inheritdoc/>
        /// <remarks>No effect with the quadratic model, which determines its own momentum.</remarks>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Step = Step.WithMomentum(value) };

        /// <inheritdoc/>
        internal override void Validate()
        {
            base.Validate();
            Curvature.Validate();
        }
    }
}
