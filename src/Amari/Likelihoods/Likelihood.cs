namespace Amari;

/// <summary>p(y | f): what a network's output f says of the target y. Gives the loss, the score and samples that the Fisher is made of.</summary>
/// <remarks>An output of shape [n, ...] holds n independent terms unless the likelihood says otherwise; losses are means over terms.</remarks>
public abstract class Likelihood
{
    /// <summary>How many independent terms log p sums over: the M of <c>mean loss = sum / M</c>.</summary>
    public virtual long Terms(Tensor output) => output.shape[0];

    /// <summary>-log p(y | f) summed over all terms: a scalar, differentiable in the output.</summary>
    public abstract Tensor SumNegativeLogLikelihood(Tensor output, Tensor target);

    /// <summary>The mean of -log p(y | f) over terms: a scalar, differentiable in the output.</summary>
    public Tensor Loss(Tensor output, Tensor target) => SumNegativeLogLikelihood(output, target) / Terms(output);

    /// <summary>A draw y ~ p(y | f), shaped as a target; no gradient flows through it.</summary>
    /// <param name="output">f.</param>
    /// <param name="generator">The source of randomness; torch's own by default.</param>
    public abstract Tensor Sample(Tensor output, Generator? generator = null);

    /// <summary>∂(-log p(y | f)) / ∂f, shaped as the output, in closed form; each term's own, not divided by their number.</summary>
    public abstract Tensor Score(Tensor output, Tensor target);
}
