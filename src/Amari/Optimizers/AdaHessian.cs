using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;
using Amari.Spectrum;

namespace Amari;

/// <summary>AdaHessian: Adam with the Hessian's diagonal in the second moment (Yao et al. 2021, arXiv:2006.00719, Algorithm 1).</summary>
/// <remarks><code>
/// every k steps: D = |z ∘ H z|, averaged over the positions of kernels and over blocks of matrices;   v ← β₂ v + (1 - β₂) D²
/// m ← β₁ m + (1 - β₁) g
/// w ← (1 - η λ) w - η m̂ / ((√v̂)^p + ε)         v̂ = v / (1 - β₂ⁿ) after n estimates
/// </code>
/// p = 1 is Newton by the diagonal, p = 0 momentum alone. The step has the unit of the weights, so η is near 0.1, far above
/// Adam's.</remarks>
public sealed class AdaHessian : DiagonalCurvatureOptimizer<AdaHessian.Options, AdaHessian.State>
{
    /// <param name="groups">At least one.</param>
    /// <param name="model">Called by <see cref="DiagonalCurvatureOptimizer{TOptions, TState}.UpdateCurvature(Tensor, Tensor)"/>; null if
    /// estimates are made elsewhere. Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output.</param>
    public AdaHessian(IEnumerable<ParameterGroup<Options>> groups, nn.Module<Tensor, Tensor>? model = null, Likelihood? likelihood = null)
        : base(groups, model, likelihood) { }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public AdaHessian(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())], model, likelihood) { }

    /// <summary>Over parameters as <c>model.parameters()</c> gives them, called 0, 1, 2, ... in saved states: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>. Estimates of the curvature are made elsewhere, and
    /// given to <see cref="DiagonalCurvatureOptimizer{TOptions, TState}.UpdateCurvature(IReadOnlyList{Tensor})"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public AdaHessian(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="AdaHessian"/>.</summary>
    public sealed record Options : DiagonalCurvatureOptions
    {
        /// <summary>The defaults.</summary>
        public Options()
            : base(learningRate: 0.1) => (Estimate, Interval) = (DiagonalEstimate.Hutchinson, 1);

        /// <summary>β₁ in [0, 1): decay of the first moment.</summary>
        public double Beta1
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.9;

        /// <summary>β₂ in [0, 1): decay of the squared curvature.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.999;

        /// <summary>p ≥ 0: the power of the curvature.</summary>
        public double HessianPower
        {
            get;
            init => field = Require.NonNegative(value);
        } = 1;

        /// <summary>Whether the curvature of a kernel [out, in, ..] is averaged over its positions.</summary>
        public bool SpatialAveraging { get; init; } = true;

        /// <summary>b ≥ 1: the curvature of a matrix [out, in] is averaged over b inputs side by side, of each output by itself; what is
        /// left of a row is a shorter block. 1, each entry by itself, is what the authors take for matrices but in transformers.</summary>
        public int BlockLength
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1;

        /// <summary>ε > 0, added to (√v̂)^p.</summary>
        public double Epsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-4;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="FirstMoment">m, shaped as w.</param>
    /// <param name="SecondMoment">v, shaped as w.</param>
    /// <param name="Estimates">n, a scalar.</param>
    public sealed record State(
        [property: Moment] Tensor FirstMoment,
        [property: Moment(IsOfSquares = true)] Tensor SecondMoment,
        [property: NonNegative] Tensor Estimates
    ) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) =>
        new(ZeroState(parameter), ZeroState(parameter), zeros([], dtype: StateType(parameter), device: parameter.device));

    private protected override void Accumulate(Tensor diagonal, State state, Options options)
    {
        var d = diagonal.abs();
        if (options.SpatialAveraging && d.dim() > 2)
            d = d.mean([.. Enumerable.Range(2, (int)d.dim() - 2).Select(i => (long)i)], keepdim: true).expand_as(diagonal);
        else if (options.BlockLength > 1 && d.dim() == 2)
            d = cat([.. d.split(options.BlockLength, dim: 1).Select(b => b.mean([1], keepdim: true).expand_as(b))], dim: 1);
        state.SecondMoment.mul_(options.Beta2).addcmul_(d, d, 1 - options.Beta2);
        state.Estimates.add_(1);
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var m = state.FirstMoment.lerp_(gradient, 1 - options.Beta1);
        double mHat = 1 - Math.Pow(options.Beta1, state.Step),
            vHat = 1 - Math.Pow(options.Beta2, Math.Max(1, state.Estimates.ToDouble()));
        var curvature = state.SecondMoment.div(vHat).pow_(options.HessianPower / 2).add_(options.Epsilon);
        WeightStep.Apply(parameter, gradient, m, options, options.LearningRate / mHat, curvature);
    }
}
