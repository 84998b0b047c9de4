using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari;

/// <summary>Shampoo: a preconditioner for each side of a matrix (Gupta et al. 2018, arXiv:1802.09568; Shi et al. 2023,
/// arXiv:2309.06497).</summary>
/// <remarks><code>
/// L ← β₂ L + (1 - β₂) G G',   R ← β₂ R + (1 - β₂) G' G,   m ← β₁ m + (1 - β₁) G
/// U = (L̂ + ε I)^(-1/4) m̂ (R̂ + ε I)^(-1/4);   for a vector (L̂ + ε I)^(-1/2) m̂
/// U ← U ‖A‖ / ‖U‖ with grafting, A the step of SGD or Adam
/// w ← (1 - η λ) w - η U
/// </code>
/// A matrix with a side longer than <see cref="Options.BlockSize"/> is divided into blocks, each with its own preconditioner and grafting.
/// Kernels are flattened to [out, in ..]. Distributed Shampoo also has a momentum of the preconditioned step, and a third β for its
/// gradient; they are not implemented. Roots are computed by eigendecomposition. If one fails, the last root stays in use, and
/// <see cref="Optimizer.Events"/> reports it.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Shampoo(model, new() { LearningRate = 1e-2, RefreshInterval = 10, Grafting = Grafting.Adam });
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// </code></example>
public sealed class Shampoo(IEnumerable<ParameterGroup<Shampoo.Options>> groups) : GroupedOptimizer<Shampoo.Options, Shampoo.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Shampoo(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Shampoo(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Shampoo"/>.</summary>
    public sealed record Options() : MomentumOptions(learningRate: 1e-3)
    {
        /// <summary>β₁ in [0, 1): decay of the momentum.</summary>
        public double Beta1
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.9;

        /// <summary>β₂ in [0, 1): decay of the factors, and of the second moment of the Adam used for grafting.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.99;

        /// <summary>ε > 0, added to the eigenvalues of the factors.</summary>
        public double Epsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-8;

        /// <summary>Where the length of the step comes from.</summary>
        [ShapesState]
        public Grafting Grafting
        {
            get;
            init => field = Require.Defined(value);
        } = Grafting.Adam;

        /// <summary>ε > 0 of the Adam used for grafting.</summary>
        public double GraftingEpsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-8;

        /// <summary>Steps between two computations of the roots, ≥ 1.</summary>
        public int RefreshInterval
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 10;

        /// <summary>The first step that is preconditioned, ≥ 1. Earlier steps are those of the grafting method, or of the momentum if there
        /// is no grafting.</summary>
        public int StartPreconditioningStep
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1;

        /// <summary>The longest side of a block, ≥ 1.</summary>
        [ShapesState]
        public int BlockSize
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1024;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="Momentum">m, shaped as w.</param>
    /// <param name="Left">L : [blocks, p, p].</param>
    /// <param name="LeftRoot">Its inverse root, [blocks, p, p].</param>
    /// <param name="Right">R : [blocks, q, q]; null for a vector.</param>
    /// <param name="RightRoot">Its inverse root, [blocks, q, q]; null for a vector.</param>
    /// <param name="SecondMoment">v of the grafted Adam, shaped as w; else null.</param>
    public sealed record State(
        [property: Moment] Tensor Momentum,
        [property: NonNegative(OnDiagonal = true)] Tensor Left,
        Tensor LeftRoot,
        [property: NonNegative(OnDiagonal = true)] Tensor? Right,
        Tensor? RightRoot,
        [property: Moment(IsOfSquares = true)] Tensor? SecondMoment
    ) : ParameterState;

    /// <summary>A matrix [m, n] as blocks [i, j] of p x q, the last of a side filled up with zeros.</summary>
    private readonly record struct Blocks(long M, long N, long P, long Q)
    {
        public static Blocks Of(Tensor parameter, int most)
        {
            long m = parameter.dim() == 0 ? 1 : Math.Max(1, parameter.shape[0]),
                n = Math.Max(1, parameter.NumberOfElements / m);
            return new(m, n, Math.Min(m, most), Math.Min(n, most));
        }

        public long Down => (M + P - 1) / P;
        public long Across => (N + Q - 1) / Q;

        /// <summary>[m, n] to [blocks, p, q].</summary>
        public Tensor Cut(Tensor x) =>
            (P, Q) == (M, N)
                ? x.reshape(1, M, N)
                : nn
                    .functional.pad(x.reshape(M, N), [0, Across * Q - N, 0, Down * P - M])
                    .reshape(Down, P, Across, Q)
                    .permute(0, 2, 1, 3)
                    .reshape(Down * Across, P, Q);

        /// <summary>[blocks, p, q] to [m, n].</summary>
        public Tensor Join(Tensor x) =>
            x.reshape(Down, Across, P, Q).permute(0, 2, 1, 3).reshape(Down * P, Across * Q).narrow(0, 0, M).narrow(1, 0, N);
    }

    private protected override CoverageRow Covers(string name, Parameter parameter, Options options)
    {
        var b = Blocks.Of(parameter, options.BlockSize);
        return new(
            name,
            nameof(Shampoo),
            FormattableString.Invariant($"{(parameter.dim() < 2 ? "a vector" : "a matrix")} [{b.M}, {b.N}], {b.Down * b.Across} blocks")
        );
    }

    // products of a row with another are finite too
    private protected override double LargestGradient(Tensor parameter) =>
        base.LargestGradient(parameter) / Math.Sqrt(parameter.NumberOfElements);

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        var b = Blocks.Of(parameter, options.BlockSize);
        Tensor Factor(long d) => zeros(b.Down * b.Across, d, d, dtype: StateType(parameter), device: parameter.device);
        bool matrix = parameter.dim() >= 2;
        return new(
            ZeroState(parameter),
            Factor(b.P),
            Factor(b.P),
            matrix ? Factor(b.Q) : null,
            matrix ? Factor(b.Q) : null,
            options.Grafting == Grafting.Adam ? ZeroState(parameter) : null
        );
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        long p = state.Left.shape[^1],
            q = state.Right?.shape[^1] ?? 1; // as the state was made, whatever BlockSize is now
        var blocks = Blocks.Of(parameter, int.MaxValue) with { P = p, Q = q };
        var g = blocks.Cut(gradient);
        state.Left.lerp_(SymmetricProduct.Of(g, g.mT), 1 - options.Beta2);
        state.Right?.lerp_(SymmetricProduct.Of(g.mT, g), 1 - options.Beta2);
        double mHat = 1 - Math.Pow(options.Beta1, state.Step),
            vHat = 1 - Math.Pow(options.Beta2, state.Step);
        var m = state.Momentum.lerp_(gradient, 1 - options.Beta1).div(mHat);
        var grafted = m;
        if (state.SecondMoment is { } v)
            grafted = m.div(
                v.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2).div(vHat).sqrt_().add_(options.GraftingEpsilon)
            );
        var u = grafted;
        if (state.Step >= options.StartPreconditioningStep)
        {
            if (state.Step == options.StartPreconditioningStep || state.Step % options.RefreshInterval == 0)
            {
                double power = state.Right is null ? -0.5 : -0.25;
                Refresh(state.Left, state.LeftRoot, vHat, power, options.Epsilon);
                if (state.Right is { } right)
                    Refresh(right, state.RightRoot!, vHat, power, options.Epsilon);
            }
            var x = state.LeftRoot.MatrixProduct(blocks.Cut(m));
            if (state.RightRoot is { } root)
                x = x.MatrixProduct(root);
            if (options.Grafting != Grafting.None)
            {
                var ratio = Norm(blocks.Cut(grafted)).div_(Norm(x).clamp_min_(finfo(x.dtype).tiny));
                x = x.mul(ratio.clamp_max_(finfo(x.dtype).max)); // finite, so that x = 0 stays 0
            }
            u = blocks.Join(x).reshape(parameter.shape);
        }
        WeightStep.Apply(parameter, gradient, u, options);

        static Tensor Norm(Tensor x) => x.square().sum([-2, -1], keepdim: true).sqrt_();
    }

    /// <summary>(F / correction + ε I)^power; where it fails the root stays, or is the identity if there was none.</summary>
    private void Refresh(Tensor factor, Tensor root, double correction, double power, double epsilon)
    {
        var (eigen, outcome) = SpdInverse.Eigh(factor.div(correction));
        if (outcome is FactorisationOutcome.Jittered or FactorisationOutcome.DoublePrecision)
            Log($"a factor was decomposed at a second try ({outcome})");
        if (eigen is { } e)
        {
            var half = e.Vectors.mul(e.Values.add(epsilon).pow(power / 2).unsqueeze(-2));
            root.copy_(SymmetricProduct.Of(half, half.mT));
            return;
        }
        Log("a factor could not be decomposed; the last root stays");
        if (root.count_nonzero().ToInt64() == 0)
            root.copy_(eye(root.shape[^1], dtype: root.dtype, device: root.device).expand_as(root));
    }
}
