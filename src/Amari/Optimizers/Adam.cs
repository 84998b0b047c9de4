using System.Runtime.CompilerServices;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Adam (Kingma and Ba 2015, arXiv:1412.6980, Algorithm 1), with L2 regularisation in the gradient.</summary>
/// <remarks><code>
/// g ← g + λ w                                L2, which the second moment then rescales: see AdamW
/// m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²
/// w ← w - η m̂ / (√v̂ + ε),  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)
/// </code>With AmsGrad, v̂ is computed from u ← max(u, v) in place of v (Reddi, Kale and Kumar 2018, arXiv:1904.09237, as in PyTorch). With
/// λ > 0, weights with large gradients decay less than others; <see cref="AdamW"/> decays all equally.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Adam(model, new() { LearningRate = 1e-2, AmsGrad = true }) { MaxGradientNorm = 1 };
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// </code></example>
public sealed class Adam(IEnumerable<ParameterGroup<Adam.Options>> groups) : GroupedOptimizer<Adam.Options, Adam.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Adam(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Adam(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Adam"/>.</summary>
    public sealed record Options() : MomentumOptions(learningRate: 1e-3)
    {
        /// <summary>β₁ in [0, 1): decay of the first moment.</summary>
        public double Beta1
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.9;

        /// <summary>β₂ in [0, 1): decay of the second moment.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.999;

        /// <summary>ε > 0, added to √v̂.</summary>
        public double Epsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-8;

        /// <summary>Whether the step is divided by the largest second moment so far, which is stored in a third tensor. If it is turned on
        /// later, the maximum starts with the second moment at that step.</summary>
        [ShapesState]
        public bool AmsGrad { get; init; }

        internal override bool IsDecayDecoupled => false;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="FirstMoment">m, shaped as w.</param>
    /// <param name="SecondMoment">v, shaped as w.</param>
    /// <param name="LargestMoment">u of AmsGrad, shaped as w, always in full; else null.</param>
    public sealed record State(
        [property: Moment] Tensor FirstMoment,
        [property: Moment(IsOfSquares = true)] Tensor SecondMoment,
        [property: NonNegative] Tensor? LargestMoment = null
    ) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) =>
        new(ZeroState(parameter), ZeroState(parameter), options.AmsGrad ? ZeroState(parameter) : null);

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var g = options.WeightDecay == 0 ? gradient : gradient.add(parameter, alpha: options.WeightDecay);
        var m = state.FirstMoment.lerp_(g, 1 - options.Beta1);
        var v = state.SecondMoment.mul_(options.Beta2).addcmul_(g, g, 1 - options.Beta2);
        if (options.AmsGrad)
            v = AmsGrad.Largest(v, state.LargestMoment, state);
        double mHat = 1 - Math.Pow(options.Beta1, state.Step),
            vHat = 1 - Math.Pow(options.Beta2, state.Step);
        var over = v.div(vHat).sqrt_().add_(options.Epsilon);
        WeightStep.Apply(parameter, gradient, m, options, options.LearningRate / mHat, over);
    }

    private protected override bool HasKernel => true;

    private protected override bool Suits(State state, Options options) =>
        !options.AmsGrad || AmsGrad.HasKernel(state.FirstMoment, state.LargestMoment);

    private protected override void UpdateFused(FusedStep fused, Options options, long step)
    {
        if (options.AmsGrad)
            fused.Run(AmsGrad.Rule.Of(options, step));
        else
            fused.Run(new Rule(options, step));
    }

    /// <summary>The same lines, for the kernels.</summary>
    internal readonly struct Rule(Options o, long step) : IElementwise
    {
        public Coefficients Coefficients { get; } =
            Coefficients.Of(o.Beta1, o.Beta2, o.Epsilon, step) with
            {
                Decay = (float)o.WeightDecay,
            };

        public static int Moments => 2;

        public float Rate { get; } = (float)(-o.LearningRate / (1 - Math.Pow(o.Beta1, step)));

        public float Keep => 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Direction<L>(L w, L g, ref L m, ref L v, ref L largest, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
            where L : struct, ILanes<L>
        {
            g = L.Fma(decay, w, g);
            m = L.Fma(beta1, m, rest1 * g);
            v = L.Fma(beta2, v, rest2 * g * g);
            return m / L.Fma(L.Sqrt(v), unbias, epsilon);
        }
    }
}
