using Amari.Curvature;
using Amari.Distributed;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

public sealed partial class Kfac
{
    /// <summary>Hyper-parameters of <see cref="Kfac"/>.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 0.1)
    {
        /// <summary>λ > 0, added to the Fisher of one term's log-likelihood; in units of <see cref="DampingScale"/>.</summary>
        public double Damping
        {
            get;
            init => field = Require.Positive(value);
        } = 3e-4;

        /// <summary>What λ is measured in.</summary>
        public DampingScale DampingScale
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Least damping, ≥ 0, in the unit of the Fisher whatever the <see cref="DampingScale"/>; also the least λ that
        /// <see cref="AdaptiveDamping"/> goes down to: a batch's own model predicts its
        /// own loss well even where λ is far too small for the others. Null for 8 ε of the factors' dtype (9.5e-7 in float32): an
        /// eigenvalue below is a rounding error of probabilities that have become 0 and 1.</summary>
        [BeforeAdded(0.0)]
        public double? MinDamping
        {
            get;
            init => field = Require.NonNegativeOrNull(value);
        }

        /// <summary>How λ enters the inverse.</summary>
        public DampingMethod DampingMethod
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Which gradients G is made of; null for curvature propagation, or empirical where no likelihood is given.</summary>
        public FisherKind? Fisher
        {
            get;
            init => field = value is { } kind ? Require.Defined(kind) : null;
        }

        /// <summary>Draws per pass for <see cref="FisherKind.MonteCarlo"/> and <see cref="FisherKind.CurvaturePropagation"/>, ≥
        /// 1.</summary>
        public int MonteCarloSamples
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1;

        /// <summary>What the sums Σ ā ā' and Σ g g' of a batch are computed in: the products alone, for the running factors, the inverses
        /// and the state stay in full. In bfloat16 (around the rows' mean, which is added in full) a damping below some 1 % of the mean
        /// eigenvalue is not felt, and a factor may fail to be positive: that is told.</summary>
        public MatmulPrecision FactorPrecision
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>What the inverses of <see cref="DampingMethod.FactoredTikhonov"/> are kept in, and the two products of a step computed
        /// in; they are made in full. In bfloat16 they take half of the memory. Inverses of low rank stay as the factors are.</summary>
        public MatmulPrecision InversePrecision
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>How damped factors are inverted.</summary>
        [BeforeAdded(InverseMethod.Cholesky)]
        public InverseMethod InverseMethod
        {
            get;
            init => field = Require.Defined(value);
        } = InverseMethod.Nystrom;

        /// <summary>τ > 0 of <see cref="Amari.InverseMethod.Nystrom"/>: the least rank is taken at which the inverse of a damped factor is
        /// off by a factor of 1 ± τ at most in any direction, as far as the directions that are kept tell.</summary>
        public double RankTolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 0.2;

        /// <summary>How the positions of an example enter the factors of a layer used at several.</summary>
        public WeightSharing WeightSharing
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Whether the training loss is the mean or the sum over terms.</summary>
        public LossReduction Reduction
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>ε in [0, 1): decay of the factors; the k-th update uses min(1 - 1/k, ε).</summary>
        public double FactorEma
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.95;

        /// <summary>Steps from one measurement of the factors to the next, ≥ 1.</summary>
        public int FactorInterval
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 10;

        /// <summary>Steps from one refresh of the inverses to the next, ≥ 1.</summary>
        public int InverseInterval
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 20;

        /// <summary>γ in (0, 1): at first intervals are shorter, at step t at most max(1, γ t), for the first factors are those of few
        /// examples and of weights that are soon left. Null for the given intervals from the first step on.</summary>
        [BeforeAdded(null)]
        public double? RefreshWarmup
        {
            get;
            init => field = Require.ShareOrNull(value);
        } = 0.5;

        /// <summary>s in (0, 1): share of the step time that curvature (factors and inverses, not the products of each step) may take; both
        /// intervals, and how many examples factors are taken from, are then chosen by the clock: see <see cref="CurvatureChoice"/>. Null
        /// for the fixed intervals, which hold until there is something to choose by and, unlike the clock, make runs repeatable. The time
        /// from step to step counts, whatever is done in it; on an accelerator that works asynchronously it is the host's time.</summary>
        public double? CurvatureTimeFraction
        {
            get;
            init => field = Require.ShareOrNull(value);
        }

        /// <summary>Most examples of a batch that factors are taken from, ≥ 1, its first ones: batches are to be shuffled. Null for all.
        /// The first dimension of the model's output and of a layer's input counts examples; a layer that sees another number, and
        /// normalisations, take all.</summary>
        public long? FactorBatchSize
        {
            get;
            init => field = value is { } n ? Require.AtLeast(1, n) : null;
        }

        /// <summary>c > 0: bound on η² ⟨U, V⟩, twice the KL divergence that a step is predicted to cause; null for none.</summary>
        public double? KlClip
        {
            get;
            init => field = Require.PositiveOrNull(value);
        } = 1e-3;

        /// <summary>κ > 1: bound on ⟨U, V⟩, the squared length of a step without its rate, in units of its running mean; null for none. A
        /// step beyond is cut to it and counted in <see cref="Kfac.Events"/>;
        /// where it is cut to less than half of its length, factors and inverses are measured with the next step. A step of the quadratic
        /// model is then also no longer than the whole natural step by the running
        /// factors, and halved where it changed predictions far more than the model says, and for the worse; null leaves that out,
        /// too.</summary>
        [BeforeAdded(null)]
        public double? MaxGrowth
        {
            get;
            init => field = Require.AboveOneOrNull(value);
        } = 4;

        /// <summary>μ in [0, 1): decay of the momentum. <see cref="KlClip"/> bounds one direction, of which the momentum adds up to 1 / (1
        /// - μ): less than the 0.9 of other methods is right.</summary>
        public double Momentum
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.5;

        /// <summary>λw ≥ 0, multiplied by η whatever the <see cref="StepRule"/>. No quadratic model knows of it: what a
        /// <see cref="StepReport"/> says was promised is of the step without the decay, and the loss after the step has both.</summary>
        public double WeightDecay
        {
            get;
            init => field = Require.NonNegative(value);
        }

        /// <summary>f in [0, 1]: share of the ranks that hold a layer's inverse, where there are several: 0 (one rank, memory-lean) to 1
        /// (all, communication-lean); see <see cref="Optimizer.Distribute"/>.</summary>
        public double GradWorkerFraction
        {
            get;
            init => field = Require.Fraction(value);
        } = 1;

        /// <summary>Which of the holders compute an inverse.</summary>
        public InverseWork InverseWork
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Whether the loss is to be known: <see cref="StepOnBatch"/> instead of <see cref="step"/>.</summary>
        internal bool EvaluatesLoss => AdaptiveDamping || StepRejection;

        /// <summary>How long steps are, and what momentum they have. Null chooses at the first step: the quadratic model where the batch
        /// has at least 16 times <see cref="QuadraticModelBatchSize"/> examples, so that its passes are a small part of the step and the
        /// gradient has little noise, and where there is a likelihood and a model of one tensor; else fixed steps. See
        /// <see cref="Kfac.StepRule"/>.</summary>
        [BeforeAdded(Amari.StepRule.Fixed)]
        public StepRule? StepRule
        {
            get;
            init => field = value is { } rule ? Require.Defined(rule) : null;
        }

        /// <summary>s ≥ 0: G begins as s I on top of what is measured, which fades by <see cref="FactorEma"/> with each measurement: in
        /// the unit of the Fisher. While a network says the same of all examples, the
        /// small eigenvalues of G are noise, and a step by their inverse rests there. Null for 1 with the quadratic model, 0 with fixed
        /// steps.</summary>
        [BeforeAdded(0.0)]
        public double? IdentityStart
        {
            get;
            init => field = Require.NonNegativeOrNull(value);
        }

        /// <summary>Most examples of a batch that the curvature of the quadratic model is taken from, ≥ 1, its first ones (over ranks, the
        /// first of the whole batch); null for all. The slope is that of the whole batch (Martens and Grosse 2015, §8: a quarter of the
        /// batch does); where theirs differs from it by more than half, the whole batch is taken, and <see cref="Kfac.Events"/> tell (not
        /// compared where dropout or the statistics of a batch make training another function). For <see cref="StepRule.QuadraticModel"/>
        /// and <see cref="AdaptiveDamping"/>.</summary>
        [BeforeAdded(null)]
        public long? QuadraticModelBatchSize
        {
            get;
            init => field = value is { } n ? Require.AtLeast(1, n) : null;
        } = 32;

        /// <summary>Whether λ follows how well the quadratic model foretells the loss (Levenberg-Marquardt; Martens and Grosse 2015, §6.5):
        /// every <see cref="DampingInterval"/> T steps λ ← ωᵀ λ where the loss fell by over 3/4 of what was promised without damping, λ /
        /// ωᵀ where by less than 1/4. Call <see cref="StepOnBatch"/>.</summary>
        public bool AdaptiveDamping { get; init; }

        /// <summary>ω in (0, 1) of <see cref="AdaptiveDamping"/>.</summary>
        public double DampingDecay
        {
            get;
            init => field = Require.Share(value);
        } = 0.95;

        /// <summary>T ≥ 1 of <see cref="AdaptiveDamping"/>.</summary>
        public int DampingInterval
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 5;

        /// <summary>Whether the damping γ² of the inverses parts from the λ of the quadratic model (Martens and Grosse 2015, §6.6): it
        /// begins as λ, and every <see cref="FactorDampingInterval"/> T steps the best of γ, ωᵀᐟ² γ and γ / ωᵀᐟ² by the model's minimum is
        /// taken, at the cost of four refreshes. Needs <see cref="StepRule.QuadraticModel"/>.</summary>
        public bool AdaptiveFactorDamping { get; init; }

        /// <summary>T ≥ 1 of <see cref="AdaptiveFactorDamping"/>.</summary>
        public int FactorDampingInterval
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 20;

        /// <summary>Whether a step after which the loss of its batch is higher (or not finite) is taken back: parameters bit for bit, the
        /// momentum to zero, and an adaptive λ raised. What AdamW trains moves all the same. Call <see cref="StepOnBatch"/>.</summary>
        public bool StepRejection { get; init; }

        /// <summary>Options of the AdamW that trains what has no block. Its rate follows the group's: it is multiplied by η over the η (if
        /// not 0) that the group had when the optimizer was made. Schedulers that drive momentum leave β₁.</summary>
        public AdamW.Options Fallback
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(Fallback));
        } = new();

        /// <summary>Whether a parameter without a block is an error.</summary>
        public bool Strict { get; init; }

        /// <summary>Seed of the draws, and of the signs of the exact Fisher.</summary>
        public long Seed { get; init; }

        internal DampingSettings DampingSettings => new(Damping, DampingMethod, DampingScale, MinDamping);

        internal InverseSettings InverseSettings => new(InverseMethod, RankTolerance, InversePrecision, InverseWork);

        /// <inheritdoc/>
        public override double CycledMomentum => Momentum;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Momentum = value };

        /// <inheritdoc/>
        internal override void Validate()
        {
            if (AdaptiveFactorDamping && StepRule != Amari.StepRule.QuadraticModel)
                throw new ArgumentException("AdaptiveFactorDamping chooses by the quadratic model: take StepRule.QuadraticModel.");
            if (Fisher == FisherKind.ForwardOnly && DampingMethod == DampingMethod.Ekfac)
                throw new ArgumentException(
                    "EKFAC corrects eigenvalues by gradients, which the ForwardOnly Fisher does not have: take DampingMethod.Eigenbasis."
                );
            Fallback.Validate();
        }
    }
}
