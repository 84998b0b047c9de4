using Amari.Kernels;

namespace Amari;

/// <summary>Stochastic gradient descent with momentum (Polyak 1964; Nesterov's form as in Sutskever et al. 2013).</summary>
/// <remarks><code>
/// g ← g + λ w                    L2 regularisation, which for SGD equals decoupled decay
/// b ← μ b + g
/// w ← w - η b                    Nesterov: w ← w - η (g + μ b)
/// </code>The momentum sums gradients, it does not average them: the effective rate is η / (1 - μ).</remarks>
public sealed class Sgd(IEnumerable<ParameterGroup<Sgd.Options>> groups) : GroupedOptimizer<Sgd.Options, Sgd.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Sgd(nn.Module model, Options? options = null) : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Sgd"/>.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 0.1)
    {
        /// <summary>μ in [0, 1): decay of the momentum; 0 keeps no state.</summary>
        public double Momentum { get; init => field = Require.UnitInterval(value); } = 0.9;
        /// <summary>Whether the step looks ahead along the momentum; without effect when μ = 0.</summary>
        public bool Nesterov { get; init; }
        /// <summary>λ ≥ 0: coefficient of w in the gradient.</summary>
        public double WeightDecay { get; init => field = Require.NonNegative(value); }

        /// <inheritdoc/>
        public override double CycledMomentum => Momentum;
        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Momentum = value };
    }

    /// <param name="Momentum">b, shaped as w; null when μ was 0 at the first step.</param>
    public sealed record State(Tensor? Momentum) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) =>
        new(options.Momentum > 0 ? ZeroState(parameter) : null);

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var g = options.WeightDecay == 0 ? gradient : gradient.add(parameter, alpha: options.WeightDecay);
        if (state.Momentum is { } b)
        {
            b.mul_(options.Momentum).add_(g);
            g = options.Nesterov ? g.add(b, alpha: options.Momentum) : b;
        }
        parameter.add_(g, alpha: -options.LearningRate);
    }

    private protected override bool HasKernel(Options options) => true;

    private protected override void UpdateFused(Sweep sweep, Options options, long step, double gradientScale, bool guarded)
    {
        if (sweep.StateCount == 0) sweep.Run(new SgdKernel(options, gradientScale));
        else sweep.Run(new SgdMomentumKernel(options, gradientScale));
    }
}
