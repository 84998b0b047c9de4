using System.Runtime.CompilerServices;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Stochastic gradient descent with momentum (Polyak 1964; Nesterov's form as in Sutskever et al. 2013).</summary>
/// <remarks><code>
/// g ← g + λ w                    L2 regularisation; with DecoupledDecay w ← (1 - η λ) w instead (Loshchilov and Hutter 2019)
/// b ← μ b + (1 - τ) g            starts as g, at the first gradient with a momentum
/// w ← w - η b                    Nesterov: w ← w - η (g + μ b)
/// </code>The momentum is a sum of gradients, not an average: the effective rate is η / (1 - μ). The factor 1 / (1 - μ) also multiplies an
/// L2 term, but not a decoupled decay. While μ is 0, an existing buffer b does not change, as in PyTorch.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Sgd(model, new() { LearningRate = 0.05, Momentum = 0.9, Nesterov = true });
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// </code></example>
public sealed class Sgd(IEnumerable<ParameterGroup<Sgd.Options>> groups) : GroupedOptimizer<Sgd.Options, Sgd.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Sgd(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Sgd(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Sgd"/>.</summary>
    public sealed record Options() : MomentumOptions(learningRate: 0.1)
    {
        /// <summary>μ in [0, 1): decay of the momentum; 0 keeps no state.</summary>
        [ShapesState]
        public double Momentum
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.9;

        /// <summary>Whether the step looks ahead along the momentum; without effect when μ = 0.</summary>
        public bool Nesterov { get; init; }

        /// <summary>τ in [0, 1]: the share of a gradient that does not enter the momentum; it must be 0 with Nesterov.</summary>
        public double Dampening
        {
            get;
            init => field = Require.Fraction(value);
        }

        /// <summary>Whether w decays by η λ separately, as in AdamW, and λ w is not part of the gradient and the momentum.</summary>
        public bool DecoupledDecay { get; init; }

        /// <inheritdoc/>
        public override double CycledMomentum => Momentum;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Momentum = value };

        internal override bool IsDecayDecoupled => DecoupledDecay;

        /// <inheritdoc/>
        internal override void Validate()
        {
            base.Validate();
            if (Nesterov && Dampening != 0)
                throw new ArgumentException(FormattableString.Invariant($"Dampening is {Dampening}; with Nesterov it must be 0."));
        }
    }

    /// <param name="Momentum">b, shaped as w; null until there was a gradient with a momentum.</param>
    public sealed record State([property: Moment] Tensor? Momentum) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) => new(options.Momentum > 0 ? ZeroState(parameter) : null);

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var g = options.WeightDecay == 0 || options.DecoupledDecay ? gradient : gradient.add(parameter, alpha: options.WeightDecay);
        if (options.Momentum > 0)
        {
            if (state.Momentum is { } buffer)
                buffer.mul_(options.Momentum).add_(g, alpha: 1 - Dampening(state.Step, options));
            else
                state.Replace(nameof(state.Momentum), g.clone());
            g = options.Nesterov ? g.add(state.Momentum!, alpha: options.Momentum) : state.Momentum!;
        }
        WeightStep.Apply(parameter, gradient, g, options);
    }

    /// <summary>τ; at the first step of all nothing is dampened.</summary>
    private static double Dampening(long step, Options options) => step == 1 ? 0 : options.Dampening;

    private protected override bool HasKernel => true;

    private protected override bool Suits(State state, Options options) => options.Momentum == 0 || state.Momentum is not null;

    private protected override void UpdateFused(FusedStep fused, Options options, long step)
    {
        if (options.Momentum == 0)
            fused.Run(new Rule(options));
        else
            fused.Run(new MomentumRule(options, step));
    }

    /// <summary>The same lines without momentum, for the kernels; also where the decay is decoupled, unless it is cautious.</summary>
    internal readonly struct Rule(Options o) : IElementwise
    {
        public Coefficients Coefficients { get; } = new() { Decay = o.CautiousDecay ? 0 : (float)o.WeightDecay };

        public static int Moments => 0;

        public float Rate { get; } = -(float)o.LearningRate;

        public float Keep { get; } = o.CautiousDecay ? (float)(1 - o.LearningRate * o.WeightDecay) : 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Direction<L>(L w, L g, ref L m, ref L v, ref L largest, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
            where L : struct, ILanes<L>
        {
            return L.Fma(decay, w, g);
        }
    }

    /// <summary>The same lines with a momentum, for the kernels.</summary>
    internal readonly struct MomentumRule(Options o, long step) : IElementwise
    {
        private readonly bool _nesterov = o.Nesterov;

        public Coefficients Coefficients { get; } =
            new()
            {
                Decay = o.DecoupledDecay ? 0 : (float)o.WeightDecay,
                Beta1 = (float)o.Momentum,
                Rest1 = (float)(1 - Dampening(step, o)),
            };

        public static int Moments => 1;

        public float Rate { get; } = -(float)o.LearningRate;

        public float Keep { get; } = o.DecoupledDecay ? (float)(1 - o.LearningRate * o.WeightDecay) : 1;

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Direction<L>(L w, L g, ref L m, ref L v, ref L largest, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
            where L : struct, ILanes<L>
        {
            g = L.Fma(decay, w, g);
            m = L.Fma(beta1, m, rest1 * g);
            return _nesterov ? L.Fma(beta1, m, g) : m;
        }
    }
}
