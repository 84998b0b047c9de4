using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Adafactor: second moments of a matrix from its row and column means (Shazeer and Stern 2018, arXiv:1804.04235, Algorithms
/// 4-6).</summary>
/// <remarks><code>
/// R ← (1 - s) R + s mean over columns of g²,   C ← (1 - s) C + s mean over rows of g²,   s = t^(-d)
/// V = R C / mean(R) for [.., rows, columns];   for a vector, V is stored in full
/// u = g / max(√V, ε₁),   u ← u / max(1, RMS(u) / c)
/// w ← (1 - η λ) w - max(ε₂, RMS(w)) min(η, 1/√t) u
/// </code>The state of a matrix is rows + columns numbers. The step is relative to the size of the weights. There is no momentum.</remarks>
public sealed class Adafactor(IEnumerable<ParameterGroup<Adafactor.Options>> groups)
    : GroupedOptimizer<Adafactor.Options, Adafactor.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public Adafactor(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())]) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public Adafactor(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    /// <summary>Hyper-parameters of <see cref="Adafactor"/>.</summary>
    public sealed record Options() : GroupedOptions(learningRate: 0.01)
    {
        /// <summary>d > 0: at step t, the new squares enter the second moments with the weight t^(-d).</summary>
        public double DecayPower
        {
            get;
            init => field = Require.Positive(value);
        } = 0.8;

        /// <summary>ε₁ > 0: lower bound of √V, and of the mean of R. Null takes the machine epsilon of the dtype (1.2e-7 for float32), as
        /// in PyTorch.</summary>
        public double? Epsilon
        {
            get;
            init => field = Require.PositiveOrNull(value);
        }

        /// <summary>ε₂ > 0: lower bound of RMS(w) in the step. Because of it, weights that are zero can move.</summary>
        public double MinScale
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-3;

        /// <summary>c > 0: bound on RMS(u).</summary>
        public double ClipThreshold
        {
            get;
            init => field = Require.Positive(value);
        } = 1;
    }

    /// <param name="Rows">R : [.., rows, 1]; null for a vector.</param>
    /// <param name="Columns">C : [.., 1, columns]; null for a vector.</param>
    /// <param name="Variance">V of a vector, shaped as w; else null.</param>
    public sealed record State(
        [property: NonNegative] Tensor? Rows,
        [property: NonNegative] Tensor? Columns,
        [property: Moment(IsOfSquares = true)] Tensor? Variance
    ) : ParameterState;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        if (parameter.dim() < 2)
            return new(null, null, ZeroState(parameter));
        using var scope = NewDisposeScope();
        var zero = ZeroState(parameter); // not without elements: those are never updated
        return new(zero.narrow(-1, 0, 1).clone().MoveToOuterDisposeScope(), zero.narrow(-2, 0, 1).clone().MoveToOuterDisposeScope(), null);
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        double share = Math.Pow(state.Step, -options.DecayPower),
            epsilon = options.Epsilon ?? finfo(gradient.dtype).eps;
        var square = gradient.square();
        Tensor variance;
        if (state is { Rows: { } rows, Columns: { } columns })
        {
            // sums of squares, and products of two of their means, may be too large where the results are not
            rows.lerp_(square.div(square.shape[^1]).sum(-1, keepdim: true), share);
            columns.lerp_(square.div(square.shape[^2]).sum(-2, keepdim: true), share);
            variance = rows.div(rows.div(rows.shape[^2]).sum(-2, keepdim: true).clamp_min_(epsilon)).mul(columns);
        }
        else
            variance = state.Variance!.lerp_(square, share).clone();
        var u = variance.clamp_min_(epsilon * epsilon).rsqrt_().mul_(gradient);
        double size = Math.Sqrt(Math.Max(1, u.NumberOfElements)),
            clip = Math.Max(1, u.norm().ToDouble() / size / options.ClipThreshold);
        double scale =
            Math.Max(options.MinScale, parameter.norm().ToDouble() / size) * Math.Min(options.LearningRate, 1 / Math.Sqrt(state.Step));
        WeightStep.Apply(parameter, gradient, u, options, scale / clip);
    }
}
