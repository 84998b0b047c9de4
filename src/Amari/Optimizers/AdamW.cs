using Amari.Kernels;

namespace Amari;

/// <summary>Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2).</summary>
/// <remarks><code>
/// m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²
/// w ← (1 - η λ) w - η m̂ / (√v̂ + ε),  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)
/// </code>The decay is multiplied by η, as in PyTorch: halving η halves it too.</remarks>
public sealed class AdamW(IEnumerable<ParameterGroup<AdamW.Options>> groups) : GroupedOptimizer<AdamW.Options, AdamW.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public AdamW(nn.Module model, Options? options = null) : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="AdamW"/>.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1e-3)
    {
        /// <summary>β₁ in [0, 1): decay of the first moment.</summary>
        public double Beta1 { get; init => field = Require.UnitInterval(value); } = 0.9;
        /// <summary>β₂ in [0, 1): decay of the second moment.</summary>
        public double Beta2 { get; init => field = Require.UnitInterval(value); } = 0.999;
        /// <summary>ε > 0, added to √v̂.</summary>
        public double Epsilon { get; init => field = Require.Positive(value); } = 1e-8;
        /// <summary>λ ≥ 0, multiplied by η.</summary>
        public double WeightDecay { get; init => field = Require.NonNegative(value); } = 0.01;
        /// <summary>Whether only the entries that agree in sign with the gradient move, lengthened by 1 / their share of the parameter (Liang et al. 2024, arXiv:2411.16085).
        /// With a small <see cref="StateFormat"/> it has no kernel and takes the slower torch lines.</summary>
        public bool Cautious { get; init; }

        /// <summary>How the moments are kept.</summary>
        public StateFormat StateFormat { get; init => field = Require.Defined(value); }

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;
        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="FirstMoment">m, shaped as w.</param>
    /// <param name="SecondMoment">v, shaped as w.</param>
    /// <param name="FirstScales">Of blocks of m, where the format has them.</param>
    /// <param name="SecondScales">Of blocks of v.</param>
    public sealed record State(Tensor FirstMoment, Tensor SecondMoment, Tensor? FirstScales = null, Tensor? SecondScales = null) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        if (options.StateFormat == StateFormat.Full) return new(ZeroState(parameter), ZeroState(parameter));
        var (m, first) = SmallState.Zeros(parameter, options.StateFormat);
        var (v, second) = SmallState.Zeros(parameter, options.StateFormat);
        return new(m, v, first, second);
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options) => SmallState.Update(state.Step, gradient.dtype,
        [state.FirstMoment, state.SecondMoment], [state.FirstScales, state.SecondScales], s => Update(parameter, gradient, s[0], s[1], state.Step, options));

    /// <summary>The update of one parameter, also for optimizers that leave some of theirs to AdamW.</summary>
    internal static void Update(Tensor parameter, Tensor gradient, Tensor m, Tensor v, long step, Options options)
    {
        m.lerp_(gradient, 1 - options.Beta1);
        v.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2);
        double mHat = 1 - Math.Pow(options.Beta1, step), vHat = 1 - Math.Pow(options.Beta2, step);
        parameter.mul_(1 - options.LearningRate * options.WeightDecay)
            .addcdiv_(options.Cautious ? Cautious.Of(m, gradient) : m, v.div(vHat).sqrt_().add_(options.Epsilon), -options.LearningRate / mHat);
    }

    private protected override bool HasKernel(Options options) => !options.Cautious || options.StateFormat == StateFormat.Full;

    private protected override void UpdateFused(Sweep sweep, Options options, long step, double gradientScale, bool guarded)
    {
        if (options.Cautious) sweep.Run(new AdamWMomentsKernel(options, gradientScale), new CautiousAdamWKernel(options, step, gradientScale), Cautious.LeastShare);
        else sweep.Run(new AdamWKernel(options, step, gradientScale, guarded));
    }

    // Each number is divided by these, so that they must not make much of its rounding error.
    private protected override bool CanUndo(Options options) =>
        !options.Cautious && options is { Beta1: >= 0.5, Beta2: >= 0.5 } && options.LearningRate * options.WeightDecay <= 0.5;

    private protected override void UndoFused(Sweep sweep, Options options, long step, double gradientScale) =>
        sweep.Run(new AdamWInverseKernel(options, step, gradientScale));
}
