using System.Runtime.CompilerServices;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Lion: the sign of a momentum (Chen et al. 2023, arXiv:2302.06675, Algorithm 2).</summary>
/// <remarks><code>
/// c = β₁ m + (1 - β₁) g          the step direction, never stored
/// w ← w - η (sign(c) + λ w)      decoupled weight decay
/// m ← β₂ m + (1 - β₂) g
/// </code>Apart from the decay, every entry moves by η. Take η 3-10 times smaller, and λ 3-10 times larger, than for AdamW.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Lion(model, new() { LearningRate = 1e-3, WeightDecay = 0.1 });
/// var schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max: 20);
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
///     schedule.step();
/// }
/// </code></example>
public sealed class Lion(IEnumerable<ParameterGroup<Lion.Options>> groups) : GroupedOptimizer<Lion.Options, Lion.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Lion(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Lion(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Lion"/>.</summary>
    public sealed record Options() : MomentumOptions(learningRate: 1e-4)
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

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="Momentum">m, shaped as w.</param>
    public sealed record State([property: Moment] Tensor Momentum) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) => new(ZeroState(parameter));

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var c = gradient.lerp(state.Momentum, options.Beta1).sign_();
        WeightStep.Apply(parameter, gradient, c, options);
        state.Momentum.lerp_(gradient, 1 - options.Beta2);
    }

    private protected override bool HasKernel => true;

    private protected override void UpdateFused(FusedStep fused, Options options, long step) => fused.Run(new Rule(options));

    // Each number is divided by these, so that they must not make much of its rounding error.
    private protected override bool CanUndo(Options options) => options.Beta2 >= 0.5 && options.LearningRate * options.WeightDecay <= 0.5;

    // Where the direction was 0 to rounding, its sign, and so η, may come back wrong.
    private protected override void UndoFused(FusedStep fused, Options options, long step) => fused.Undo(new Rule(options));

    /// <summary>The same lines, for the kernels.</summary>
    internal readonly struct Rule(Options o) : IUndoable
    {
        public Coefficients Coefficients { get; } = Coefficients.Of(o.Beta1, o.Beta2);

        public static int Moments => 1;

        public float Rate { get; } = -(float)o.LearningRate;

        public float Keep { get; } = (float)(1 - o.LearningRate * o.WeightDecay);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Direction<L>(L w, L g, ref L m, ref L v, ref L largest, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
            where L : struct, ILanes<L>
        {
            L c = L.Sign(L.Fma(beta1, m, rest1 * g));
            m = L.Fma(beta2, m, rest2 * g);
            return c;
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Undo<L>(L g, ref L m, ref L v, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
            where L : struct, ILanes<L>
        {
            m = (m - rest2 * g) / beta2;
            return L.Sign(L.Fma(beta1, m, rest1 * g));
        }
    }
}
