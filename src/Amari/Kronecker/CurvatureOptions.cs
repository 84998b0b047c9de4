using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How Kronecker-factored curvature is estimated: which Fisher, how often, and how it is damped and inverted.</summary>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var curvature = new CurvatureOptions
/// {
///     Fisher = new FisherOptions.Empirical(),
///     Inverse = new InverseOptions.EigenvalueCorrection(),
///     Refresh = new() { FactorInterval = 5, InverseInterval = 10 },
/// };
/// using var optimizer = new Kfac(model, new() { Damping = 1e-2, Curvature = curvature }, new Categorical());
/// for (int step = 0; step &lt; 10; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// </code></example>
public sealed record CurvatureOptions
{
    /// <summary>The gradients from which G is computed. Null takes curvature propagation, or the empirical Fisher if there is no
    /// likelihood.</summary>
    public FisherOptions? Fisher { get; init; }

    /// <summary>How the positions of an example enter the factors, for a layer that is used at several positions.</summary>
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
    } = 0.9;

    /// <summary>Maximum number of examples of a batch from which factors are measured, ≥ 1: the first ones, so batches must be shuffled.
    /// Null takes as many as each layer needs: every k-th example, with the largest k at which at least 16 examples remain, and 4 rows for
    /// each dimension of the layer's larger factor times the share that the batch will have in the running average. A convolution or a
    /// layer of a transformer has many rows per example; a layer with one row per example mostly needs the whole batch at the
    /// beginning. A number as large as the batch takes all examples for all layers. Examples
    /// are counted by the first dimension of the model's output and of a layer's input. Layers with another number of examples, and
    /// normalisations, use all.</summary>
    public long? FactorBatchSize
    {
        get;
        init => field = value is { } n ? Require.AtLeast(1, n) : null;
    }

    /// <summary>The number type of the sums Σ ā ā' and Σ g g' of a batch. The running factors, the inverses and the state stay in full
    /// precision. With bfloat16, which is applied around the mean of the rows, a damping below about 1 % of the mean eigenvalue has no
    /// effect. A factor may then not be positive definite, which is reported.</summary>
    public MatmulPrecision FactorPrecision
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>s ≥ 0, in the unit of the Fisher: G starts as s I plus the measurement, and s I decays by <see cref="FactorEma"/> with each
    /// measurement. While a network predicts the same for all examples, the small eigenvalues of G are noise, and steps by their inverse
    /// stay on this plateau. Null takes 1 with the quadratic model, and 0 with fixed steps and with a
    /// <see cref="FisherOptions.ForwardOnly"/> Fisher, for which G = I.</summary>
    public double? IdentityStart
    {
        get;
        init => field = Require.NonNegativeOrNull(value);
    }

    /// <summary>The unit of the damping λ.</summary>
    public DampingScale DampingScale
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>Lower bound of the damping, ≥ 0, in the unit of the Fisher for every <see cref="DampingScale"/>. It is also the lower bound
    /// of an adaptive λ, because the model of a batch predicts the loss of this batch well even if λ is far too small for other batches.
    /// Null takes 8 ε of the factors' dtype (9.5e-7 in float32): a smaller eigenvalue is a rounding error of probabilities that have become
    /// 0 or 1.</summary>
    public double? MinDamping
    {
        get;
        init => field = Require.NonNegativeOrNull(value);
    }

    /// <summary>When factors are measured and inverses are computed.</summary>
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
