using System.Runtime.CompilerServices;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Lion, evolved sign momentum (Chen et al. 2023, arXiv:2302.06675, Algorithm 2).</summary>
/// <remarks><code>
/// c = β₁ m + (1 - β₁) g          the step direction, never stored
/// w ← w - η (sign(c) + λ w)      decoupled weight decay
/// m ← β₂ m + (1 - β₂) g
/// </code>Each coordinate moves by η: take η 3-10x below, λ 3-10x above the values for AdamW.</remarks>
public sealed class Lion(IEnumerable<ParameterGroup<Lion.Options>> groups) : GroupedOptimizer<Lion.Options, Lion.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Lion(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over parameters as <c>model.parameters()</c> gives them, called 0, 1, 2, ... in saved states: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Lion(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Lion"/>.</summary>
    public sealed record Options() : FirstOrderOptions(learningRate: 1e-4)
    {
        /// <summary>β₁ in [0, 1): share of the momentum in the step direction.</summary>
        public double Beta1
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.9;

        /// <summary>β₂ in [0, 1): decay of the momentum.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.99;

        /// <summary>λ ≥ 0, multiplied by η as in AdamW.</summary>
        public double WeightDecay
        {
            get;
            init => field = Require.NonNegative(value);
        }

        /// <summary>Whether only the entries that agree in sign with the gradient move, lengthened by 1 / their share of the parameter
        /// (Liang et al. 2024, arXiv:2411.16085). With a small <see cref="StateFormat"/> it has no kernel and takes the slower torch
        /// lines.</summary>
        public bool Cautious { get; init; }

        /// <summary>How the momentum is kept.</summary>
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
    }

    /// <param name="Momentum">m, shaped as w.</param>
    /// <param name="Scales">Of blocks of m, where the format has them.</param>
    public sealed record State(Tensor Momentum, [property: NonNegative] Tensor? Scales = null) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        if (options.StateFormat == StateFormat.Full)
            return new(ZeroState(parameter));
        var (m, scales) = SmallState.Zeros(parameter, options.StateFormat);
        return new(m, scales);
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options) =>
        SmallState.Update(
            state.Step,
            gradient.dtype,
            [state.Momentum],
            [state.Scales],
            s =>
            {
                var c = gradient.lerp(s[0], options.Beta1).sign_();
                if (options.Cautious)
                    c = Cautious.Of(c, gradient);
                parameter.mul_(1 - options.LearningRate * options.WeightDecay).add_(c, alpha: -options.LearningRate);
                s[0].lerp_(gradient, 1 - options.Beta2);
            }
        );

    private protected override bool HasKernel(Options options) => !options.Cautious || options.StateFormat == StateFormat.Full;

    private protected override bool Suits(State state, Options options) => !(options.Cautious && SmallState.IsSmall(state.Momentum.dtype));

    private protected override void UpdateFused(Sweep sweep, Options options, long step, double gradientScale, bool guarded)
    {
        if (options.Cautious)
            sweep.Run(new LionAgreementKernel(options, gradientScale), new CautiousLionKernel(options, gradientScale), Cautious.MinShare);
        else
            sweep.Run(new LionKernel(options, gradientScale, guarded));
    }

    // Each number is divided by these, so that they must not make much of its rounding error.
    private protected override bool CanUndo(Options options) =>
        !options.Cautious && options.Beta2 >= 0.5 && options.LearningRate * options.WeightDecay <= 0.5;

    private protected override void UndoFused(Sweep sweep, Options options, long step, double gradientScale) =>
        sweep.Run(new LionInverseKernel(options, gradientScale));
}
