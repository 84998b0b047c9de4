using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How Kronecker-factored curvature is estimated: which Fisher, how often, and how it is damped and inverted.</summary>
public sealed record CurvatureOptions
{
    /// <summary>Which gradients G is made of; null for curvature propagation, or empirical where no likelihood is given.</summary>
    public FisherOptions? Fisher { get; init; }

    /// <summary>How the positions of an example enter the factors of a layer used at several.</summary>
    public WeightSharing WeightSharing
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

    /// <summary>Most examples of a batch that factors are taken from, ≥ 1, its first ones: batches are to be shuffled. Null for all.
    /// The first dimension of the model's output and of a layer's input counts examples; a layer that sees another number, and
    /// normalisations, take all.</summary>
    public long? FactorBatchSize
    {
        get;
        init => field = value is { } n ? Require.AtLeast(1, n) : null;
    }

    /// <summary>What the sums Σ ā ā' and Σ g g' of a batch are computed in: the products alone, for the running factors, the inverses
    /// and the state stay in full. In bfloat16 (around the rows' mean, which is added in full) a damping below some 1 % of the mean
    /// eigenvalue has no effect, and a factor may fail to be positive, which is reported.</summary>
    public MatmulPrecision FactorPrecision
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>s ≥ 0: G begins as s I on top of what is measured, which fades by <see cref="FactorEma"/> with each measurement: in
    /// the unit of the Fisher. While a network predicts the same for all examples, the small eigenvalues of G are noise, and a step by
    /// their inverse rests there. Null for 1 with the quadratic model, 0 with fixed steps, and for a
    /// <see cref="FisherOptions.ForwardOnly"/> Fisher, whose G is I.</summary>
    public double? IdentityStart
    {
        get;
        init => field = Require.NonNegativeOrNull(value);
    }

    /// <summary>What the damping λ is measured in.</summary>
    public DampingScale DampingScale
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>Least damping, ≥ 0, in the unit of the Fisher whatever the <see cref="DampingScale"/>; also the least λ that adaptive
    /// damping goes down to: a batch's own model predicts its own loss well even where λ is far too small for the others. Null for 8 ε
    /// of the factors' dtype (9.5e-7 in float32): an eigenvalue below is a rounding error of probabilities that have become 0 and
    /// 1.</summary>
    public double? MinDamping
    {
        get;
        init => field = Require.NonNegativeOrNull(value);
    }

    /// <summary>When factors are measured and inverses computed.</summary>
    public RefreshOptions Refresh
    {
        get;
        init => field = value ?? throw new ArgumentNullException(nameof(Refresh));
    } = new();

    /// <summary>How the damped curvature is inverted.</summary>
    public InverseOptions Inverse
    {
        get;
        init => field = value ?? throw new ArgumentNullException(nameof(Inverse));
    } = new InverseOptions.Nystrom();

    /// <summary>How several ranks share the work.</summary>
    public DistributionOptions Distribution
    {
        get;
        init => field = value ?? throw new ArgumentNullException(nameof(Distribution));
    } = new();

    /// <summary>How a block is damped by a λ.</summary>
    internal DampingSettings DampedBy(double damping) => new(damping, Inverse.Damping, DampingScale, MinDamping);

    /// <summary>How inverses are made and kept.</summary>
    internal InverseSettings InverseSettings =>
        new(Inverse.Method, (Inverse as InverseOptions.Nystrom)?.RankTolerance ?? 0, Inverse.Kept, Distribution.InverseWork);

    /// <exception cref="ArgumentException">Options that do not go together.</exception>
    internal void Validate()
    {
        if (Fisher is not FisherOptions.ForwardOnly)
            return;
        if (Inverse is InverseOptions.EigenvalueCorrection)
            throw new ArgumentException(
                "EKFAC corrects eigenvalues by gradients, which the ForwardOnly Fisher does not have: take the inverse Eigenbasis."
            );
        if (IdentityStart > 0)
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"IdentityStart is {IdentityStart}; with the ForwardOnly Fisher, whose G is I, it must be null."
                )
            );
    }
}
