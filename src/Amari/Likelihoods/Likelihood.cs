namespace Amari;

/// <summary>p(y | f): what a network's output f says of the target y. Gives the loss, and the score, samples and output Fisher
/// that curvature is made of.</summary>
/// <remarks>An output of shape [n, ...] holds n independent terms unless the likelihood says otherwise; losses are means over terms.
/// Results are fresh tensors that the caller owns.</remarks>
public abstract class Likelihood
{
    /// <summary>How many independent terms log p sums over: the M of <c>mean loss = sum / M</c>.</summary>
    public virtual long Terms(Tensor output) => output.shape[0];

    /// <summary>C: how many outputs a term has, and so the rank that its output Fisher can have.</summary>
    public long Outputs(Tensor output) => output.numel() / Terms(output);

    /// <summary>-log p(y | f) summed over all terms: a scalar, differentiable in the output.</summary>
    public abstract Tensor SumNegativeLogLikelihood(Tensor output, Tensor target);

    /// <summary>The mean of -log p(y | f) over terms: a scalar, differentiable in the output.</summary>
    public Tensor Loss(Tensor output, Tensor target)
    {
        using var sum = SumNegativeLogLikelihood(output, target);
        return sum / Terms(output);
    }

    /// <summary>A draw y ~ p(y | f), shaped as a target; no gradient flows through it.</summary>
    /// <param name="output">f.</param>
    /// <param name="generator">The source of randomness; torch's own by default.</param>
    public abstract Tensor Sample(Tensor output, Generator? generator = null);

    /// <summary>∂(-log p(y | f)) / ∂f, shaped as the output, in closed form; each term's own, not divided by their number.</summary>
    public abstract Tensor Score(Tensor output, Tensor target);

    /// <summary>Column c of S for every term, shaped as the output, where Λ = S S' is the Fisher of p(y | f) with respect to f.</summary>
    /// <param name="output">f.</param>
    /// <param name="column">0 ≤ c &lt; <see cref="Outputs"/>.</param>
    public abstract Tensor FisherRootColumn(Tensor output, long column);

    /// <summary>Λ v for every term, shaped as the output: Λ = E over y ~ p(y | f) of score score', the Fisher of p(y | f) with respect to f.</summary>
    /// <param name="output">f.</param>
    /// <param name="v">Shaped as f.</param>
    public abstract Tensor FisherProduct(Tensor output, Tensor v);

    /// <summary>∂²(-log p(y | f)) / ∂f² v for every term, shaped as the output. It is Λ v where f are the natural parameters.</summary>
    /// <param name="output">f.</param>
    /// <param name="target">y.</param>
    /// <param name="v">Shaped as f.</param>
    public virtual Tensor HessianProduct(Tensor output, Tensor target, Tensor v) => FisherProduct(output, v);

    /// <summary>The output with its terms and their outputs as the two dimensions [M, C]: a view where possible.</summary>
    private protected Tensor Flat(Tensor output) => output.reshape(Terms(output), -1);
}
