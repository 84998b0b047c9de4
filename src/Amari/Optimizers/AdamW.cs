using System.Runtime.CompilerServices;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Adam with decoupled weight decay (Loshchilov and Hutter 2019, arXiv:1711.05101, Algorithm 2).</summary>
/// <remarks><code>
/// m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²
/// w ← (1 - η λ) w - η m̂ / (√v̂ + ε),  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)
/// </code>With AmsGrad v̂ is made of u ← max(u, v) in place of v (Reddi, Kale and Kumar 2018, arXiv:1904.09237, as PyTorch has it).
/// The decay is multiplied by η, as in PyTorch: halving η halves it too.</remarks>
public sealed class AdamW(IEnumerable<ParameterGroup<AdamW.Options>> groups) : GroupedOptimizer<AdamW.Options, AdamW.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public AdamW(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over parameters as <c>model.parameters()</c> gives them, called 0, 1, 2, ... in saved states: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public AdamW(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="AdamW"/>.</summary>
    public sealed record Options() : FirstOrderOptions(learningRate: 1e-3)
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

        /// <summary>λ ≥ 0, multiplied by η.</summary>
        public double WeightDecay
        {
            get;
            init => field = Require.NonNegative(value);
        } = 0.01;

        /// <summary>Whether only the entries that agree in sign with the gradient move, lengthened by 1 / their share of the parameter
        /// (Liang et al. 2024, arXiv:2411.16085). With a small <see cref="StateFormat"/> it has no kernel and takes the slower torch
        /// lines.</summary>
        public bool Cautious { get; init; }

        /// <summary>Whether the step is divided by the largest second moment so far. It keeps a third tensor, and needs
        /// <see cref="StateFormat.Full"/>; with <see cref="Cautious"/> it has no kernel. Turned on later, it begins with the second moment
        /// of then.</summary>
        [ShapesState]
        public bool AmsGrad { get; init; }

        /// <summary>How the moments are kept.</summary>
        [ShapesState]
        public StateFormat StateFormat
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };

        /// <inheritdoc/>
        internal override void Validate()
        {
            if (AmsGrad && StateFormat != StateFormat.Full)
                throw new ArgumentException(
                    $"StateFormat is {StateFormat}; with AmsGrad, whose maximum is not kept in fewer bits, it must be Full."
                );
        }
    }

    /// <param name="FirstMoment">m, shaped as w.</param>
    /// <param name="SecondMoment">v, shaped as w.</param>
    /// <param name="FirstScales">Of blocks of m, where the format has them.</param>
    /// <param name="SecondScales">Of blocks of v.</param>
    /// <param name="LargestMoment">u of AmsGrad, shaped as w; else null.</param>
    public sealed record State(
        Tensor FirstMoment,
        [property: NonNegative] Tensor SecondMoment,
        [property: NonNegative] Tensor? FirstScales = null,
        [property: NonNegative] Tensor? SecondScales = null,
        [property: NonNegative] Tensor? LargestMoment = null
    ) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        if (options.StateFormat == StateFormat.Full)
            return new(ZeroState(parameter), ZeroState(parameter), LargestMoment: options.AmsGrad ? ZeroState(parameter) : null);
        var (m, first) = SmallState.Zeros(parameter, options.StateFormat);
        var (v, second) = SmallState.Zeros(parameter, options.StateFormat);
        return new(m, v, first, second);
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        bool largest = options.AmsGrad && !SmallState.IsSmall(state.FirstMoment.dtype);
        if (options.AmsGrad && !largest)
            Log("its moments are kept in fewer bits, as when it was first trained: AmsGrad has no effect on it");
        SmallState.Update(
            state.Step,
            gradient.dtype,
            [state.FirstMoment, state.SecondMoment],
            [state.FirstScales, state.SecondScales],
            s => Update(parameter, gradient, s[0], s[1], state.Step, options, largest ? v => Largest(state, v) : null)
        );
    }

    private static Tensor Largest(State state, Tensor v)
    {
        if (state.LargestMoment is { } u)
            u.copy_(u.maximum(v));
        else
            state.Replace(nameof(state.LargestMoment), v.clone());
        return state.LargestMoment!;
    }

    /// <summary>The update of one parameter, also for optimizers that leave some of theirs to AdamW.</summary>
    internal static void Update(
        Tensor parameter,
        Tensor gradient,
        Tensor m,
        Tensor v,
        long step,
        Options options,
        Func<Tensor, Tensor>? largest = null
    )
    {
        m.lerp_(gradient, 1 - options.Beta1);
        v.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2);
        v = largest?.Invoke(v) ?? v;
        double mHat = 1 - Math.Pow(options.Beta1, step),
            vHat = 1 - Math.Pow(options.Beta2, step);
        parameter
            .mul_(1 - options.LearningRate * options.WeightDecay)
            .addcdiv_(
                options.Cautious ? Cautious.Of(m, gradient) : m,
                v.div(vHat).sqrt_().add_(options.Epsilon),
                -options.LearningRate / mHat
            );
    }

    private protected override bool HasKernel(Options options) =>
        !options.Cautious || options is { StateFormat: StateFormat.Full, AmsGrad: false };

    private protected override bool Suits(State state, Options options) =>
        options.AmsGrad ? state.LargestMoment is not null : !(options.Cautious && SmallState.IsSmall(state.FirstMoment.dtype));

    private protected override void UpdateFused(Sweep sweep, Options options, long step, double gradientScale, bool guarded)
    {
        if (options.Cautious)
            sweep.Run(
                new AdamWMomentsKernel(options, gradientScale),
                new CautiousAdamWKernel(options, step, gradientScale),
                Cautious.MinShare
            );
        else if (options.AmsGrad)
            sweep.Run(new AmsGradKernel(options, step, gradientScale));
        else
            sweep.Run(new AdamWKernel(options, step, gradientScale, guarded));
    }

    // Each number is divided by these, so that they must not make much of its rounding error.
    private protected override bool CanUndo(Options options) =>
        options is { Cautious: false, AmsGrad: false }
        && options is { Beta1: >= 0.5, Beta2: >= 0.5 }
        && options.LearningRate * options.WeightDecay <= 0.5;

    private protected override void UndoFused(Sweep sweep, Options options, long step, double gradientScale) =>
        sweep.Run(new AdamWInverseKernel(options, step, gradientScale));
}
