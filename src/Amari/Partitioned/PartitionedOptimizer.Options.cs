using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <content>The options.</content>
public sealed partial class PartitionedOptimizer
{
    /// <summary>The options of <see cref="PartitionedOptimizer"/>. The learning rate η multiplies those of both methods.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>Selects the matrix method by its options: <see cref="Muon.Options"/>, <see cref="Soap.Options"/>,
        /// <see cref="Shampoo.Options"/> or <see cref="Kfac.Options"/>. The method cannot change later.</summary>
        public OptimizerOptions MatrixOptimizer
        {
            get;
            init => field = Checked(value);
        } = new Muon.Options();

        /// <summary>The options of AdamW.</summary>
        public AdamW.Options Fallback { get; init; } = new();

        /// <summary>κ > 1: upper bound of the norm of all gradients of AdamW in the group, relative to its running mean (with a decay of
        /// 0.95 for its square); null for no bound. Without a bound, one gradient of ten thousand times the usual norm stays in the second
        /// moment for a thousand steps, during which AdamW hardly moves.</summary>
        [BeforeAdded(null)]
        public double? MaxGrowth
        {
            get;
            init => field = Require.AboveOneOrNull(value);
        } = 20;

        /// <summary>The longest side of a matrix that the matrix method takes, ≥ 1.</summary>
        public int MaxDimension
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 8192;

        /// <summary>Whether the matrix method takes embeddings, too.</summary>
        public bool Embeddings { get; init; }

        /// <summary>Whether the matrix method takes the output layer. Null means false for Muon, and true for the others.</summary>
        public bool? OutputLayer { get; init; }

        /// <summary>Whether AdamW takes all parameters of the group.</summary>
        public bool FallbackOnly { get; init; }

        /// <inheritdoc/>
        /// <remarks>Schedulers drive the momentum of both methods. This is that of the matrix method, or of AdamW with
        /// <see cref="FallbackOnly"/>.</remarks>
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
