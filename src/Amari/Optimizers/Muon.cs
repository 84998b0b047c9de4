using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari;

/// <summary>Muon: momentum, orthogonalised by a Newton-Schulz iteration (Jordan et al. 2024, kellerjordan.github.io/posts/muon).</summary>
/// <remarks><code>
/// g ← min(1, κ n / ‖g‖) g                           n: the running mean of the norm of such gradients, see MaxGrowth
/// b ← μ b + (1 - μ) g,   u = μ b + (1 - μ) g with Nesterov, otherwise u = b
/// O = NewtonSchulz(u) ≈ (u u')^(-1/2) u              all singular values near 1
/// w ← (1 - η λ) w - η √max(1, rows / columns) O
/// </code>
/// Muon updates matrices [out, in] and convolution kernels [out, in, ..], flattened to [out, in ..]. Rows and columns are those of the
/// flattened kernel. (Jordan's code scales a kernel by its last two sides, height and width, which gives 1 for square ones.) AdamW, with
/// the rate <c>η FallbackScale</c>, trains all other parameters, and groups with <see cref="Options.Orthogonalise"/> off: use such a group
/// for embeddings and the output layer.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Muon(model, new() { LearningRate = 0.02 });   // the biases are trained by AdamW
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// Console.WriteLine(optimizer.Coverage);
/// </code></example>
public sealed class Muon(IEnumerable<ParameterGroup<Muon.Options>> groups) : GroupedOptimizer<Muon.Options, Muon.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Muon(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Muon(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Muon"/>.</summary>
    public sealed record Options() : MomentumOptions(learningRate: 0.02)
    {
        /// <summary>μ in [0, 1): decay of the momentum.</summary>
        public double Momentum
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.95;

        /// <summary>Whether the step looks ahead along the momentum.</summary>
        public bool Nesterov { get; init; } = true;

        /// <summary>κ > 1: upper bound of the norm of a matrix's gradient, relative to its running mean (decay 0.95); null for no bound.
        /// All steps have the same length, so without a bound one gradient of ten thousand times the usual norm would decide the direction
        /// of the next hundred steps.</summary>
        [BeforeAdded(null)]
        public double? MaxGrowth
        {
            get;
            init => field = Require.AboveOneOrNull(value);
        } = 20;

        /// <summary>Newton-Schulz iterations, ≥ 1.</summary>
        public int Iterations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 5;

        /// <summary>The number type of the Newton-Schulz iterations. The authors' code uses bfloat16.</summary>
        public MatmulPrecision Precision
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Whether the group's matrices are orthogonalised; if not, AdamW trains them.</summary>
        [ShapesState]
        public bool Orthogonalise { get; init; } = true;

        /// <summary>AdamW's learning rate as a multiple of η, > 0.</summary>
        public double FallbackScale
        {
            get;
            init => field = Require.Positive(value);
        } = 0.05;

        /// <summary>β₁ in [0, 1) of AdamW.</summary>
        public double Beta1
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.9;

        /// <summary>β₂ in [0, 1) of AdamW.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.95;

        /// <summary>ε > 0 of AdamW.</summary>
        public double Epsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-8;

        /// <inheritdoc/>
        public override double CycledMomentum => Momentum;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Momentum = value };

        internal AdamW.Options Fallback =>
            new()
            {
                LearningRate = LearningRate * FallbackScale,
                Beta1 = Beta1,
                Beta2 = Beta2,
                Epsilon = Epsilon,
                WeightDecay = WeightDecay,
                CautiousDecay = CautiousDecay,
                Cautious = Cautious,
            };
    }

    /// <param name="Momentum">b, or the first moment of AdamW; shaped as w.</param>
    /// <param name="SecondMoment">The second moment of AdamW, shaped as w; null if the step is orthogonalised.</param>
    /// <param name="Norm">The running mean of ‖g‖, a scalar; null if AdamW updates the parameter.</param>
    public sealed record State(
        [property: Moment] Tensor Momentum,
        [property: Moment(IsOfSquares = true)] Tensor? SecondMoment,
        [property: BeforeAdded, NonNegative] Tensor? Norm
    ) : ParameterState;

    private static bool Takes(Tensor parameter, Options options) => options.Orthogonalise && parameter.dim() >= 2;

    private protected override CoverageRow Covers(string name, Parameter parameter, Options options) =>
        Takes(parameter, options)
            ? new(
                name,
                nameof(Muon),
                (parameter.dim() == 2 ? "a matrix" : "a kernel, as a matrix [out, in ..]")
                    + (options.Precision == MatmulPrecision.BFloat16 ? ", in bfloat16" : "")
            )
            : new(name, nameof(AdamW), options.Orthogonalise ? "not a matrix" : "orthogonalise is off in its group");

    // its norm is finite too
    private protected override double LargestGradient(Tensor parameter) =>
        base.LargestGradient(parameter) / Math.Sqrt(parameter.NumberOfElements);

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) =>
        Takes(parameter, options)
            ? new(ZeroState(parameter), null, zeros([], dtype: StateType(parameter), device: parameter.device))
            : new(ZeroState(parameter), ZeroState(parameter), null);

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        if (state.SecondMoment is { } v)
        {
            AdamW.Step(parameter, gradient, new(state.Momentum, v) { Step = state.Step }, options.Fallback);
            return;
        }
        gradient = Bounded(gradient, state.Norm!, state.Step, options);
        var b = state.Momentum.lerp_(gradient, 1 - options.Momentum);
        var u = (options.Nesterov ? gradient.lerp(b, options.Momentum) : b).flatten(1);
        double scale = Math.Sqrt(Math.Max(1, (double)u.shape[0] / u.shape[1]));
        var o = Orthogonal(u, options.Iterations, options.Precision).view_as(parameter);
        WeightStep.Apply(parameter, gradient, o, options, options.LearningRate * scale);
    }

    private static Tensor Bounded(Tensor gradient, Tensor mean, long step, Options options)
    {
        const double Decay = 0.95;
        var norm = gradient.norm();
        if (options.MaxGrowth is { } growth && step > 1)
        {
            var most = where(mean.gt(0), mean * growth, norm); // a mean of nothing bounds nothing
            gradient = gradient.mul(where(norm.gt(most), most / norm, ones_like(norm)));
            norm = norm.minimum(most);
        }
        mean.lerp_(where(norm.gt(0), norm, mean), Math.Max(1.0 / step, 1 - Decay));
        return gradient; // one of zeros has no length, and none in the mean
    }

    /// <summary>U V' of M = U S V', nearly: the quintic iteration X ← p(X X') X, p(A) = a I + b A + c A², from M / ‖M‖, whose singular
    /// values end in about [0.7, 1.2]. Products alone, and so far cheaper than a decomposition.</summary>
    /// <param name="matrix">M : [m, n]. Not changed.</param>
    /// <param name="iterations">≥ 1; five do for singular values above a thousandth of the norm.</param>
    /// <param name="precision">What the iteration is computed in. In bfloat16 the result differs by some 2 % for a matrix of full rank; for
    /// one of low rank, what rounding adds in the other directions grows to half of its norm.</param>
    /// <returns>[m, n], of the dtype of M; the caller owns it.</returns>
    public static Tensor Orthogonal(Tensor matrix, int iterations = 5, MatmulPrecision precision = MatmulPrecision.Full)
    {
        ArgumentNullException.ThrowIfNull(matrix);
        ArgumentOutOfRangeException.ThrowIfLessThan(iterations, 1);
        if (matrix.dim() != 2)
            throw new ArgumentException($"The matrix has the shape [{string.Join(", ", matrix.shape)}], expected [m, n].", nameof(matrix));
        using var scope = NewDisposeScope();
        bool tall = matrix.shape[0] > matrix.shape[1];
        var x = tall ? matrix.t() : matrix;
        x = x.div(x.norm().add_(Tiny).div_(Scale));
        if (precision == MatmulPrecision.BFloat16)
            x = x.to_type(ScalarType.BFloat16);
        bool wide = x.shape[1] >= 1.2 * x.shape[0] && x.dtype is ScalarType.Float32 or ScalarType.Float64;
        x = (wide ? ByGram(x, iterations) : Directly(x, iterations)).div_(Scale);
        return (tall ? x.t().contiguous() : x).to_type(matrix.dtype).MoveToOuterDisposeScope();
    }

    private const double A = 3.4445,
        B = -4.7750,
        C = 2.0315,
        Tiny = 1e-7;
    private static readonly double Scale = Math.Pow(C, 0.25); // of X, which makes p(X X') = a I + b / √c X X' + (X X')²

    private static Tensor Directly(Tensor x, int iterations)
    {
        for (int i = 0; i < iterations; i++)
        {
            var gram = SymmetricProduct.Of(x, x.t());
            var rest = gram.mul(B / Math.Sqrt(C));
            SymmetricProduct.AddTo(rest, gram, gram);
            x = x.mul(A).AddProduct(rest, x, 1, 1);
        }
        return x;
    }

    /// <summary>The same by products of the short side alone: X X' ← p (X X') p, with which p commutes, and X takes the product of all p at
    /// the end.</summary>
    private static Tensor ByGram(Tensor x, int iterations)
    {
        const int Most = 5; // p(0) = a: rounding in X X' grows by a² an iteration
        for (; iterations > 0; iterations -= Most)
        {
            Tensor gram = SymmetricProduct.Of(x, x.t()),
                product = null!;
            for (int i = 0, last = Math.Min(iterations, Most) - 1; i <= last; i++)
            {
                var p = gram.mul(B / Math.Sqrt(C));
                p.diagonal().add_(A);
                SymmetricProduct.AddTo(p, gram, gram);
                product = i == 0 ? p : SymmetricProduct.Of(p, product);
                if (i < last)
                    gram = SymmetricProduct.Of(SymmetricProduct.Of(p, gram), p);
            }
            x = product.MatrixProduct(x);
        }
        return x;
    }
}
