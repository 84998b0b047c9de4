using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <content>The options.</content>
public sealed partial class PartitionedOptimizer
{
    /// <summary>Hyper-parameters of <see cref="PartitionedOptimizer"/>. The learning rate η multiplies those of both methods.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>The matrix method by its options: <see cref="Muon.Options"/>, <see cref="Soap.Options"/>, <see cref="Shampoo.Options"/>
        /// or <see cref="Kfac.Options"/>. It cannot change later.</summary>
        public OptimizerOptions MatrixOptimizer
        {
            get;
            init => field = Checked(value);
        } = new Muon.Options();

        /// <summary>Of AdamW.</summary>
        public AdamW.Options Fallback { get; init; } = new();

        /// <summary>κ > 1: bound on the norm of AdamW's gradients, all of the group's together, in units of its running mean (decay 0.95
        /// for its square); null for none. One gradient of ten thousand times the usual norm would stay in the second moment for a thousand
        /// steps, in which AdamW hardly moves.</summary>
        [BeforeAdded(null)]
        public double? MaxGrowth
        {
            get;
            init => field = Require.AboveOneOrNull(value);
        } = 20;

        /// <summary>The longest side of a matrix that goes to the matrix method, ≥ 1.</summary>
        public int MaxDimension
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 8192;

        /// <summary>Whether embeddings go to the matrix method, too.</summary>
        public bool Embeddings { get; init; }

        /// <summary>Whether the output layer does; null chooses: not to Muon, but to the others.</summary>
        public bool? OutputLayer { get; init; }

        /// <summary>Whether AdamW takes the whole group.</summary>
        public bool FallbackOnly { get; init; }

        /// <inheritdoc/>
        /// <remarks>Schedulers drive the momentum of both methods; that of the matrix method is shown, or AdamW's where it takes the whole
        /// group.</remarks>
        public override double CycledMomentum => FallbackOnly ? Fallback.CycledMomentum : MatrixOptimizer.CycledMomentum;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) =>
            this with
            {
                MatrixOptimizer = MatrixOptimizer.WithCycledMomentum(value),
                Fallback = (AdamW.Options)Fallback.WithCycledMomentum(value),
            };

        /// <inheritdoc/>
        internal override void Validate()
        {
            MatrixOptimizer.Validate();
            Fallback.Validate();
        }

        private static OptimizerOptions Checked(OptimizerOptions value) =>
            value is Kfac.Options { EvaluatesLoss: true }
                ? throw new ArgumentException(
                    "K-FAC that evaluates the loss (StepRule, AdaptiveDamping, StepRejection) cannot be a part: it takes whole steps.",
                    nameof(value)
                )
            : value is Muon.Options or Soap.Options or Shampoo.Options or Kfac.Options ? value
            : throw new ArgumentException(
                $"The matrix method cannot be {value?.GetType().DeclaringType?.Name ?? "null"}; it must be Muon, Soap, Shampoo or Kfac.",
                nameof(value)
            );
    }
}
