using Amari.Distributed;
using Amari.Likelihoods;
using Amari.Native;

namespace Amari;

/// <summary>p(y | f): the distribution of the target y given a network's output f. It defines the loss, and the score, samples and output
/// Fisher from which curvature is computed.</summary>
/// <remarks>An output of shape [n, ...] holds n independent terms unless the likelihood says otherwise. Losses are means over terms.
/// Targets must have the shape that the likelihood states: nothing is broadcast. Numbers of another dtype are converted to the output's
/// dtype. Anything else is refused with the expected shape or type, before libtorch sees it. Results are fresh tensors that the caller
/// owns. Every value that is representable in the output's dtype is computed for outputs up to ±1e4, where probabilities round to 0 or 1.
/// Likelihoods with values that are not representable there say so.</remarks>
public abstract class Likelihood
{
    static Likelihood() => ScalarRelease.Install();

    /// <summary>Messages name the class.</summary>
    protected Likelihood() => Targets = new(GetType().Name);

    /// <summary>Checks targets against outputs.</summary>
    private protected TargetCheck Targets { get; }

    /// <summary>The number of independent terms that log p sums over: M in <c>mean loss = sum / M</c>.</summary>
    public virtual long Terms(Tensor output) => output.shape[0];

    /// <summary>The number of terms that count for these targets: all, unless the likelihood ignores some.</summary>
    /// <param name="output">f.</param>
    /// <param name="target">y.</param>
    public virtual long Terms(Tensor output, Tensor target) => Terms(output);

    /// <summary>1 for each term that counts and 0 for each that these targets ignore, shaped to multiply an output; null if all
    /// count.</summary>
    internal virtual Tensor? Counted(Tensor output, Tensor target) => null;

    /// <summary>C: the number of outputs of a term, and so the largest possible rank of its output Fisher.</summary>
    public long Outputs(Tensor output) => output.numel() / Terms(output);

    /// <summary>Whether f are the natural parameters, in which log p is linear except for its normaliser.</summary>
    internal virtual bool IsNatural => true;

    /// <summary>1 / σ² where -log p(y | f) is |y - f|² / (2 σ²) up to a constant; null for other distributions.</summary>
    internal virtual double? Precision => null;

    /// <summary>What -log p(y | f) has besides that square, for each output.</summary>
    internal virtual double ConstantOfOutput => 0;

    /// <summary>-log p(y | f) summed over all terms that count: a scalar, differentiable in the output.</summary>
    /// <exception cref="ArgumentException">The target does not fit the output, or a value is out of range.</exception>
    public abstract Tensor SumNegativeLogLikelihood(Tensor output, Tensor target);

    /// <summary>The mean of -log p(y | f) over the terms that count: a scalar, differentiable in the output; NaN if no term
    /// counts.</summary>
    public Tensor Loss(Tensor output, Tensor target)
    {
        using var sum = SumNegativeLogLikelihood(output, target);
        return sum / Terms(output, target);
    }

    /// <summary>A draw y ~ p(y | f), with the shape of a target. Not differentiable.</summary>
    /// <param name="output">f.</param>
    /// <param name="generator">The source of randomness, by default torch's own. It may be on another device than the output: Amari's
    /// likelihoods draw on the device of the generator.</param>
    public abstract Tensor Sample(Tensor output, Generator? generator = null);

    /// <summary>∂(-log p(y | f)) / ∂f in closed form, with the shape of the output. Each term's score is not divided by the number of
    /// terms.</summary>
    public abstract Tensor Score(Tensor output, Tensor target);

    /// <summary>S v for every term, shaped as the output, where Λ = S S' is the Fisher of p(y | f) with respect to f.</summary>
    /// <param name="output">f.</param>
    /// <param name="v">Shaped as f.</param>
    public abstract Tensor FisherRootProduct(Tensor output, Tensor v);

    /// <summary>Column c of the S of <see cref="FisherRootProduct"/> for every term, shaped as the output.</summary>
    /// <param name="output">f.</param>
    /// <param name="column">0 ≤ c &lt; <see cref="Outputs"/>.</param>
    public Tensor FisherRootColumn(Tensor output, long column)
    {
        ArgumentNullException.ThrowIfNull(output);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var e = zeros(output.shape, dtype: output.dtype, device: output.device);
        Flat(e).select(1, column).fill_(1);
        return FisherRootProduct(output, e).MoveToOuterDisposeScope();
    }

    /// <summary>Column c of S times a random sign of each term. A network that mixes terms, or has layers without a dimension of examples,
    /// adds gradients of different terms. The signs make their products vanish in the mean; products of a term with itself do not
    /// change.</summary>
    /// <param name="output">f : [n, ..].</param>
    /// <param name="column">0 ≤ c &lt; <see cref="Outputs"/>.</param>
    /// <param name="signs">The source of signs.</param>
    /// <param name="part">The rows of a larger batch that the output holds; they get the same signs as there. Null for all rows.</param>
    internal Tensor FisherRootColumn(Tensor output, long column, Generator? signs, BatchPart? part = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (root, terms) = (FisherRootColumn(output, column), Terms(output));
        long each = terms / output.shape[0];
        var whole = randint(
            0,
            2,
            [Whole(output, part)[0] * each, 1],
            dtype: output.dtype,
            device: DrawDevice(output, signs),
            generator: signs
        );
        root = Flat(root).mul(Own(whole, terms, (part?.Start ?? 0) * each).to(output.device).mul_(2).sub_(1)).reshape(output.shape);
        return root.MoveToOuterDisposeScope();
    }

    /// <summary>A random vector s with E[s s'] = Λ for every term, with the shape of the output.</summary>
    /// <param name="kind"><see cref="FisherKind.MonteCarlo"/>: the score of a draw. <see cref="FisherKind.CurvaturePropagation"/>: S ξ with
    /// random signs ξ.</param>
    /// <param name="output">f.</param>
    /// <param name="generator">The source of randomness.</param>
    /// <param name="part">Which rows of a larger batch the output is of: it gets what is drawn for them there, where draws take a fixed
    /// number of random numbers a row or <see cref="DrawsVary"/>. Null for all.</param>
    internal Tensor Draw(FisherKind kind, Tensor output, Generator? generator, BatchPart? part = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        long rows = output.shape[0],
            start = part?.Start ?? 0;
        Tensor s;
        if (kind != FisherKind.MonteCarlo)
        {
            var whole = rand(Whole(output, part), dtype: output.dtype, device: DrawDevice(output, generator), generator: generator);
            s = FisherRootProduct(output, Own(whole, rows, start).sub_(0.5).sign_().to(output.device));
        }
        else if (DrawsVary)
        {
            long[] size = [Whole(output, part)[0]];
            var seeds = randint(0, long.MaxValue, size, ScalarType.Int64, DrawDevice(output, generator), generator: generator);
            var own = Own(seeds, rows, start).Elements<long>();
            s = Score(output, cat([.. own.Select((seed, i) => SampleRow(output.narrow(0, i, 1), seed))]));
        }
        else if (part is null || part.Value.Batch == rows)
            s = Score(output, Sample(output, generator));
        else
        {
            var whole = zeros(Whole(output, part), dtype: output.dtype, device: output.device);
            whole.narrow(0, start, rows).copy_(output); // only the number of the other rows matters
            var drawn = Sample(whole, generator);
            s = Score(output, drawn.narrow(0, drawn.shape[0] / whole.shape[0] * start, drawn.shape[0] / whole.shape[0] * rows));
        }
        return s.MoveToOuterDisposeScope();
    }

    /// <summary>Whether draws take more random numbers for one row than for another: each then has a generator of its own.</summary>
    private protected virtual bool DrawsVary => false;

    private Tensor SampleRow(Tensor row, long seed)
    {
        using var generator = new Generator((ulong)seed, CPU);
        return Sample(row, generator);
    }

    /// <summary>The shape of the output of the whole batch.</summary>
    private static long[] Whole(Tensor output, BatchPart? part) => part is { } p ? [p.Batch, .. output.shape[1..]] : output.shape;

    private static Tensor Own(Tensor whole, long rows, long start) => whole.shape[0] == rows ? whole : whole.narrow(0, start, rows);

    /// <summary>Whether a score is beyond what any target gives, as it is where the loss is a multiple of -log p. Only probabilities have
    /// such limits.</summary>
    /// <param name="output">f.</param>
    /// <param name="score">∂ loss / ∂f of each term by itself.</param>
    internal virtual bool IsBeyondTargets(Tensor output, Tensor score) => false;

    /// <summary>Whether many targets are not between 0 and 1.</summary>
    /// <param name="targets">What targets the scores would be of.</param>
    private protected static bool AreNoProbabilities(Tensor targets)
    {
        const double Share = 0.05,
            Rounding = 1e-2;
        return (targets.lt(-Rounding) | targets.gt(1 + Rounding)).to_type(ScalarType.Float64).mean().ToDouble() > Share;
    }

    /// <summary>Whether a loss of this likelihood, with any targets, weights, scale and reduction, could have this gradient at the output.
    /// False only if that is certain; the targets are unknown.</summary>
    /// <param name="output">f, with a dimension of examples; without a graph.</param>
    /// <param name="gradient">Shaped as f.</param>
    internal virtual bool CouldBeScore(Tensor output, Tensor gradient) => true;

    /// <summary>Whether a loss with this gradient at the output certainly ignored terms that the likelihood would count.</summary>
    /// <param name="output">f, with a dimension of examples; without a graph.</param>
    /// <param name="gradient">Shaped as f.</param>
    internal virtual bool LeavesOut(Tensor output, Tensor gradient) => false;

    /// <summary>Σ |sum of a row| / Σ |entries| of [M, C]: 0 if every row sums to zero; NaN for zeros.</summary>
    private protected static double RowSums(Tensor rows) => (rows.sum(-1).abs().sum() / rows.abs().sum()).ToDouble();

    /// <summary>Whether the gradient is that of a softmax over the outputs of an example: its entries sum to zero although the outputs have
    /// different sums. No likelihood of independent outputs has such a gradient, except for targets chosen to have the sums of the
    /// outputs.</summary>
    private protected static bool IsOfSoftmax(Tensor output, Tensor gradient)
    {
        const double Rounding = 1e-4,
            Spread = 1e-2;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (f, g) = (Rows(output), Rows(gradient));
        return f.shape[1] > 2
            && f.shape[0] > 1
            && RowSums(g) < Rounding
            && f.sum(-1).std().ToDouble() > Spread * f.abs().sum(-1).mean().ToDouble();

        static Tensor Rows(Tensor t) => t.reshape(t.shape[0], -1).to_type(ScalarType.Float64);
    }

    /// <summary>The device of draws: torch refuses a generator of another device.</summary>
    private protected static Device DrawDevice(Tensor output, Generator? generator) => generator?.device ?? output.device;

    /// <summary>Λ v for every term, shaped as the output: Λ = E over y ~ p(y | f) of score score', the Fisher of p(y | f) with respect to
    /// f.</summary>
    /// <param name="output">f.</param>
    /// <param name="v">Shaped as f.</param>
    public abstract Tensor FisherProduct(Tensor output, Tensor v);

    /// <summary>∂²(-log p(y | f)) / ∂f² v for every term, with the shape of the output. It equals Λ v if f are the natural
    /// parameters.</summary>
    /// <param name="output">f.</param>
    /// <param name="target">y.</param>
    /// <param name="v">Shaped as f.</param>
    public virtual Tensor HessianProduct(Tensor output, Tensor target, Tensor v) => FisherProduct(output, v);

    /// <summary>Λ of every term as a matrix: [M, C, C] for M terms of C outputs.</summary>
    /// <param name="output">f.</param>
    public Tensor FisherMatrix(Tensor output)
    {
        ArgumentNullException.ThrowIfNull(output);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var columns = new List<Tensor>();
        var e = zeros(output.shape, dtype: output.dtype, device: output.device);
        for (long c = 0; c < Outputs(output); c++)
        {
            var column = Flat(e).select(1, c);
            column.fill_(1);
            columns.Add(Flat(FisherProduct(output, e)));
            column.zero_();
        }
        return stack(columns, 2).MoveToOuterDisposeScope();
    }

    /// <summary>KL( p(y | f) ‖ p(y | f') ) of every term, [M]; at least 0, differentiable in both outputs.</summary>
    /// <remarks>For f' = f + d it is ½ d'Λ d + O(|d|³). Its relative error stays small as d → 0, because no large terms cancel.</remarks>
    /// <param name="output">f, finite.</param>
    /// <param name="other">f', finite and shaped as f.</param>
    public abstract Tensor KlDivergence(Tensor output, Tensor other);

    /// <summary>The mean loss of the best constant output. Null if unknown, as in user-defined likelihoods that do not override this
    /// method.</summary>
    /// <param name="targets">All targets, in the form that the loss takes.</param>
    public virtual ConstantPrediction? BestConstant(Tensor targets) => null;

    /// <summary>Σ over outputs of the mean over examples: the mean loss if terms are whole examples.</summary>
    private protected static double MeanOfExamples(Tensor terms) => terms.sum(type: ScalarType.Float64).ToDouble() / terms.shape[0];

    /// <summary>The output reshaped to terms and their outputs, [M, C]; a view if possible.</summary>
    private protected Tensor Flat(Tensor output) => output.reshape(Terms(output), -1);

    /// <summary>p log(p/q) - p + q, elementwise, for positive p and q given by their logarithms. It is at least 0, and summed over the
    /// outcomes of two distributions it is their KL divergence.</summary>
    /// <remarks>With x = log q - log p it is p (eˣ - 1 - x); for |x| ≤ ½ by the series x²/2 (1 + x/3 (1 + x/4 (...))), which does not
    /// cancel.</remarks>
    private protected static Tensor RelativeEntropy(Tensor logP, Tensor logQ)
    {
        const double Near = 0.5;
        const int Order = 14; // 2 Near^(Order - 1) / (Order + 1)! is below the rounding of float64
        var x = logQ - logP;
        var p = logP.exp();
        var near = x.clamp(-Near, Near);
        var series = ones_like(near);
        for (int k = Order; k > 2; k--)
            series = near / k * series + 1;
        return where(x.abs() <= Near, p * near.square() * series / 2, logQ.exp() - p - p * x);
    }
}
