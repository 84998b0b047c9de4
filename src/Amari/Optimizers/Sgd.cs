using System.Runtime.CompilerServices;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Stochastic gradient descent with momentum (Polyak 1964; Nesterov's form as in Sutskever et al. 2013).</summary>
/// <remarks><code>
/// g ← g + λ w                    L2 regularisation; with DecoupledDecay w ← (1 - η λ) w in its place (Loshchilov and Hutter 2019)
/// b ← μ b + (1 - τ) g            begins as g, at the first gradient with a momentum
/// w ← w - η b                    Nesterov: w ← w - η (g + μ b)
/// </code>The momentum sums gradients, it does not average them: the effective rate is η / (1 - μ), by which it multiplies an L2 term, too,
/// but not a decoupled decay. While μ is 0 the buffer b rests, as in PyTorch.</remarks>
public sealed class Sgd(IEnumerable<ParameterGroup<Sgd.Options>> groups) : GroupedOptimizer<Sgd.Options, Sgd.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Sgd(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over parameters as <c>model.parameters()</c> gives them, called 0, 1, 2, ... in saved states: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Sgd(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Sgd"/>.</summary>
    public sealed record Options() : FirstOrderOptions(learningRate: 0.1)
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

        /// <summary>τ in [0, 1]: share of a gradient that does not enter the momentum; 0 with Nesterov.</summary>
        public double Dampening
        {
            get;
            init => field = Require.Fraction(value);
        }

        /// <summary>λ ≥ 0: coefficient of w in the gradient.</summary>
        public double WeightDecay
        {
            get;
            init => field = Require.NonNegative(value);
        }

        /// <summary>Whether λ w is left out of the gradient, and so of the momentum, and w is decayed by η λ next to it, as in
        /// AdamW.</summary>
        public bool DecoupledDecay { get; init; }

        /// <inheritdoc/>
        public override double CycledMomentum => Momentum;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Momentum = value };

        /// <inheritdoc/>
        internal override void Validate()
        {
            if (Nesterov && Dampening != 0)
                throw new ArgumentException(FormattableString.Invariant($"Dampening is {Dampening}; with Nesterov it must be 0."));
        }
    }

    /// <param name="Momentum">b, shaped as w; null until there was a gradient with a momentum.</param>
    public sealed record State(Tensor? Momentum) : ParameterState;

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
        if (options.DecoupledDecay)
            parameter.mul_(1 - options.LearningRate * options.WeightDecay);
        parameter.add_(g, alpha: -options.LearningRate);
    }

    /// <summary>τ; at the first step of all nothing is dampened.</summary>
    internal static double Dampening(long step, Options options) => step == 1 ? 0 : options.Dampening;

    private protected override bool HasKernel(Options options) => true;

    private protected override bool Suits(State state, Options options) => options.Momentum == 0 || state.Momentum is not null;

    private protected override void UpdateFused(Sweep sweep, Options options, long step, double gradientScale, bool guarded)
    {
        if (options.Momentum == 0)
            sweep.Run(new SgdKernel(options, gradientScale));
        else
            sweep.Run(new SgdMomentumKernel(options, step, gradientScale));
    }
}
