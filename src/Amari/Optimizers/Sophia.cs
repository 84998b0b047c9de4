using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Sophia: momentum divided by a diagonal of the curvature, with each entry clipped (Liu et al. 2023, arXiv:2305.14342, Algorithm
/// 3).</summary>
/// <remarks><code>
/// every k steps: h ← β₂ h + (1 - β₂) ĥ         ĥ by Gauss-Newton-Bartlett (Algorithm 2) or Hutchinson (Algorithm 1)
/// m ← β₁ m + (1 - β₁) g
/// w ← (1 - η λ) w - η clip(m / max(γ h, ε), ρ)
/// </code>A clipped entry moves by η ρ, as in Lion. So does an entry with negative curvature. γ determines how many entries are clipped:
/// 50-90 % is usual (see <see cref="ClippedShare"/>). Take η a little smaller, and λ larger, than for AdamW. Without clipping the method is
/// diagonal Newton, which diverges with noise.</remarks>
public sealed class Sophia : DiagonalCurvatureOptimizer<Sophia.Options, Sophia.State>
{
    /// <param name="groups">At least one.</param>
    /// <param name="model">Called by <see cref="DiagonalCurvatureOptimizer{TOptions, TState}.UpdateCurvature(Tensor, Tensor)"/>; null if
    /// estimates are made elsewhere. Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output.</param>
    public Sophia(IEnumerable<ParameterGroup<Options>> groups, nn.Module<Tensor, Tensor>? model = null, Likelihood? likelihood = null)
        : base(groups, model, likelihood) { }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Sophia(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())], model, likelihood) { }

    /// <summary>Over parameters as <c>model.parameters()</c> gives them, called 0, 1, 2, ... in saved states: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>. Estimates of the curvature are made elsewhere, and
    /// given to <see cref="DiagonalCurvatureOptimizer{TOptions, TState}.UpdateCurvature(IReadOnlyList{Tensor})"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Sophia(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Sophia"/>.</summary>
    public sealed record Options() : DiagonalCurvatureOptions(learningRate: 6e-4, weightDecay: 0.1)
    {
        /// <summary>β₁ in [0, 1): decay of the momentum.</summary>
        public double Beta1
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.965;

        /// <summary>β₂ in [0, 1): decay of the curvature.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.99;

        /// <summary>γ > 0, a factor on the curvature; 0.01 for Hutchinson.</summary>
        public double Gamma
        {
            get;
            init => field = Require.Positive(value);
        } = 0.05;

        /// <summary>ρ > 0: bound on an entry of the step; null for none.</summary>
        public double? Clip
        {
            get;
            init => field = Require.PositiveOrNull(value);
        } = 1;

        /// <summary>ε > 0: the least γ h.</summary>
        public double Epsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-12;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="Momentum">m, shaped as w.</param>
    /// <param name="Curvature">h, shaped as w.</param>
    public sealed record State([property: Moment] Tensor Momentum, [property: Moment] Tensor Curvature) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options) => new(ZeroState(parameter), ZeroState(parameter));

    private protected override void Accumulate(Tensor diagonal, State state, Options options) =>
        state.Curvature.lerp_(diagonal, 1 - options.Beta2);

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        var m = state.Momentum.lerp_(gradient, 1 - options.Beta1);
        var u = m.div(state.Curvature.mul(options.Gamma).clamp_min_(options.Epsilon));
        if (options.Clip is { } rho)
            u.clamp_(-rho, rho);
        WeightStep.Apply(parameter, gradient, u, options);
    }

    /// <summary>The share of coordinates that the last step clipped, in [0, 1]; NaN before the first. It reads the whole state.</summary>
    public double ClippedShare()
    {
        using var off = no_grad();
        double clipped = 0,
            all = 0;
        foreach (var group in Groups)
            ForEach(
                group,
                (_, _, state) =>
                {
                    if (state.Step == 0)
                        return;
                    using var scope = NewDisposeScope();
                    all += state.Momentum.numel();
                    if (group.Options.Clip is { } rho)
                        clipped += state
                            .Momentum.abs()
                            .gt(state.Curvature.mul(group.Options.Gamma).clamp_min_(group.Options.Epsilon).mul_(rho))
                            .sum()
                            .ToDouble();
                },
                keep: false
            );
        return all > 0 ? clipped / all : double.NaN;
    }
}
