using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari;

/// <summary>SOAP: Adam in the eigenbasis of Shampoo's factors (Vyas et al. 2024, arXiv:2409.11321, Algorithm 3).</summary>
/// <remarks><code>
/// G : [m, n],  G' = Ql' G Qr,   m ← β₁ m + (1 - β₁) G',   V ← β₂ V + (1 - β₂) G'²
/// w ← (1 - η λ) (w - η √(1 - β₂ᵗ) / (1 - β₁ᵗ) Ql [m / (√V + ε)] Qr')
/// L ← βs L + (1 - βs) G G',   R ← βs R + (1 - βs) G' G        (here ' transposes)
/// every RefreshInterval steps: Q ← QR of (L Q), columns sorted by Rayleigh quotients, V sorted with them, m in the new basis
/// </code>The paper stores m outside of the basis and projects it at each step; this is equivalent, but takes two more products. As in the
/// authors' code, ε is added to √V before the bias correction; after the correction it would be ε / √(1 - β₂ᵗ). The first gradient only
/// initialises the basis, by an eigendecomposition: the weights do not move. Kernels are flattened to [out, in ..]. Vectors, and sides
/// longer than <see cref="Options.MaxDimension"/>, use the identity as their basis, which is Adam.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Soap(model, new() { LearningRate = 3e-3, RefreshInterval = 10 });
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// Console.WriteLine(optimizer.StateBytes);
/// </code></example>
public sealed class Soap(IEnumerable<ParameterGroup<Soap.Options>> groups) : GroupedOptimizer<Soap.Options, Soap.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Soap(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Soap(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Soap"/>.</summary>
    public sealed record Options() : MomentumOptions(learningRate: 3e-3, weightDecay: 0.01)
    {
        /// <summary>β₁ in [0, 1): decay of the first moment.</summary>
        public double Beta1
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.95;

        /// <summary>β₂ in [0, 1): decay of the second moment.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.95;

        /// <summary>βs in [0, 1): decay of the factors L and R.</summary>
        public double FactorEma
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.95;

        /// <summary>ε > 0, added to √V.</summary>
        public double Epsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-8;

        /// <summary>Steps between two refreshes of the basis, ≥ 1.</summary>
        public int RefreshInterval
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 10;

        /// <summary>The longest side that has a basis, ≥ 0; with 0 the method is Adam.</summary>
        [ShapesState]
        public int MaxDimension
        {
            get;
            init => field = Require.AtLeast(0, value);
        } = 10000;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="TurnedMoment">m in the basis, shaped as w.</param>
    /// <param name="SecondMoment">V in the basis, shaped as w.</param>
    /// <param name="LeftFactor">L : [m, m], or null.</param>
    /// <param name="LeftBasis">Ql : [m, m], or null.</param>
    /// <param name="RightFactor">R : [n, n], or null.</param>
    /// <param name="RightBasis">Qr : [n, n], or null.</param>
    public sealed record State(
        [property: Moment] Tensor TurnedMoment,
        [property: Moment(IsOfSquares = true)] Tensor SecondMoment,
        [property: NonNegative(OnDiagonal = true)] Tensor? LeftFactor,
        Tensor? LeftBasis,
        [property: NonNegative(OnDiagonal = true)] Tensor? RightFactor,
        Tensor? RightBasis
    ) : ParameterState;

    private protected override CoverageRow Covers(string name, Parameter parameter, Options options)
    {
        if (parameter.dim() < 2)
            return new(name, nameof(Adam), "not a matrix");
        long m = parameter.shape[0],
            n = parameter.NumberOfElements / Math.Max(1, m);
        return (m <= options.MaxDimension, n <= options.MaxDimension) switch
        {
            (true, true) => new(name, nameof(Soap), FormattableString.Invariant($"a matrix [{m}, {n}]")),
            (false, false) => new(name, nameof(Adam), "both sides are longer than MaxDimension"),
            _ => new(name, nameof(Soap), FormattableString.Invariant($"a matrix [{m}, {n}], its longer side without a basis")),
        };
    }

    // products of a row with another are finite too
    private protected override double LargestGradient(Tensor parameter) =>
        base.LargestGradient(parameter) / Math.Sqrt(parameter.NumberOfElements);

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        long m = parameter.dim() < 2 ? 0 : parameter.shape[0],
            n = m == 0 ? 0 : parameter.NumberOfElements / m;
        Tensor? Factor(long d) =>
            d > 0 && d <= options.MaxDimension ? zeros(d, d, dtype: StateType(parameter), device: parameter.device) : null;
        Tensor? Basis(long d) => d > 0 && d <= options.MaxDimension ? eye(d, dtype: StateType(parameter), device: parameter.device) : null;
        return new(ZeroState(parameter), ZeroState(parameter), Factor(m), Basis(m), Factor(n), Basis(n));
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var g = parameter.dim() < 2 ? gradient : gradient.flatten(1);
        var (m, v) = (state.TurnedMoment.view_as(g), state.SecondMoment.view_as(g));
        var (ql, qr) = (state.LeftBasis, state.RightBasis);
        long t = state.Step - 1;
        if (t > 0)
        {
            var turned = Multiply(ql?.t(), g, qr);
            m.lerp_(turned, 1 - options.Beta1);
            v.mul_(options.Beta2).addcmul_(turned, turned, 1 - options.Beta2);
            double mHat = 1 - Math.Pow(options.Beta1, t),
                vHat = Math.Sqrt(1 - Math.Pow(options.Beta2, t));
            var u = Multiply(ql, m.div(v.sqrt().add_(options.Epsilon)), qr?.t());
            WeightStep.Apply(parameter, gradient, u.view_as(parameter), options, options.LearningRate * vHat / mHat, decayLast: true);
        }
        state.LeftFactor?.lerp_(SymmetricProduct.Of(g, g.t()), 1 - options.FactorEma);
        state.RightFactor?.lerp_(SymmetricProduct.Of(g.t(), g), 1 - options.FactorEma);
        if (t == 0)
        {
            Begin(state.LeftFactor, ql);
            Begin(state.RightFactor, qr);
        }
        else if (t % options.RefreshInterval == 0)
        {
            var unturned = Multiply(ql, m, qr?.t());
            Refresh(state.LeftFactor, ql, v, 0);
            Refresh(state.RightFactor, qr, v, 1);
            m.copy_(Multiply(ql?.t(), unturned, qr));
        }
    }

    private static Tensor Multiply(Tensor? left, Tensor x, Tensor? right)
    {
        if (left is not null)
            x = left.MatrixProduct(x);
        return right is null ? x : x.MatrixProduct(right);
    }

    /// <summary>The first basis: eigenvectors, by falling eigenvalue.</summary>
    private void Begin(Tensor? factor, Tensor? basis)
    {
        if (factor is null)
            return;
        var (eigen, outcome) = SpdInverse.Eigh(factor);
        if (eigen is { } e)
            basis!.copy_(e.Vectors.flip(1));
        else
            Log("a factor could not be decomposed; its basis stays the identity");
        if (outcome is FactorisationOutcome.Jittered or FactorisationOutcome.DoublePrecision)
            Log($"a factor was decomposed at a second try ({outcome})");
    }

    /// <summary>One step of the power iteration; the second moment, along <paramref name="side"/>, follows its columns.</summary>
    private void Refresh(Tensor? factor, Tensor? basis, Tensor secondMoment, int side)
    {
        if (factor is null)
            return;
        var power = factor.MatrixProduct(basis!);
        var order = basis!.mul(power).sum([0]).argsort(-1, descending: true);
        var next = linalg.qr(power.index_select(1, order)).Q;
        if (!next.isfinite().all().ToBoolean())
        {
            Log("the basis could not be refreshed; the last one stays");
            return;
        }
        secondMoment.copy_(secondMoment.index_select(side, order));
        basis.copy_(next);
    }
}
