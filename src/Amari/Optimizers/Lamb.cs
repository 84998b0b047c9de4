using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>LAMB: Adam, with a step that is a share of the norm of each parameter tensor (You et al. 2020, arXiv:1904.00962, Algorithm
/// 2).</summary>
/// <remarks><code>
/// m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²
/// r = m̂ / (√v̂ + ε),   u = r + λ w
/// w ← w - η φ(‖w‖) / ‖u‖ u          φ(z) = min(z, MaxWeightNorm);  the ratio is 1 if a norm is 0
/// </code>For large batches. A tensor moves by the share η of its norm. Weights that start at zero first move by η u. The variants N-LAMB
/// and NN-LAMB of the paper's appendix, with Nesterov momentum, are not implemented.</remarks>
public sealed class Lamb(IEnumerable<ParameterGroup<Lamb.Options>> groups) : GroupedOptimizer<Lamb.Options, Lamb.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Lamb(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Lamb(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Lamb"/>.</summary>
    public sealed record Options() : MomentumOptions(learningRate: 2e-3, weightDecay: 0.01)
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
        } = 1e-6;

        /// <summary>Whether w decays by η λ separately, as in AdamW, and λ w is not part of u.</summary>
        public bool DecoupledDecay { get; init; }

        /// <summary>Whether the bias of m and v towards zero is corrected.</summary>
        public bool BiasCorrection { get; init; } = true;

        /// <summary>Bound of φ, > 0; null for none.</summary>
        public double? MaxWeightNorm
        {
            get;
            init => field = Require.PositiveOrNull(value);
        }

        internal override bool IsDecayDecoupled => DecoupledDecay;

        internal override bool CanDecayCautiously => true;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="FirstMoment">m, shaped as w.</param>
    /// <param name="SecondMoment">v, shaped as w.</param>
    public sealed record State([property: Moment] Tensor FirstMoment, [property: Moment(IsOfSquares = true)] Tensor SecondMoment)
        : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) => new(ZeroState(parameter), ZeroState(parameter));

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var m = state.FirstMoment.lerp_(gradient, 1 - options.Beta1);
        var v = state.SecondMoment.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2);
        double mHat = 1,
            vHat = 1;
        if (options.BiasCorrection)
            (mHat, vHat) = (1 - Math.Pow(options.Beta1, state.Step), 1 - Math.Pow(options.Beta2, state.Step));
        var u = m.div(mHat).div_(v.div(vHat).sqrt_().add_(options.Epsilon));
        u = WeightStep.Masked(u, gradient, options);
        if (options.DecoupledDecay)
            WeightStep.Decay(parameter, u, options);
        else
            u = WeightStep.WithDecay(u, parameter, options);
        double weight = parameter.norm().ToDouble(),
            step = u.norm().ToDouble();
        if (options.MaxWeightNorm is { } most)
            weight = Math.Min(weight, most);
        double ratio = weight > 0 && step > 0 ? weight / step : 1;
        parameter.add_(u, alpha: -options.LearningRate * ratio);
    }
}
