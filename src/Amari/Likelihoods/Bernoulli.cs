namespace Amari;

/// <summary>Independent binary outputs from logits: p(y | f) = ∏ σ(f)^y (1 - σ(f))^(1-y). Outputs and targets [n, ...], targets in [0, 1].</summary>
/// <remarks>A term is an example: the loss sums over its outputs and averages over examples. Score: σ(f) - y.</remarks>
public sealed class Bernoulli : Likelihood
{
    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target) =>
        nn.functional.binary_cross_entropy_with_logits(output, target, reduction: nn.Reduction.Sum);

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var p = output.sigmoid();
        return p.bernoulli(generator);
    }

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        return output.sigmoid().sub_(target);
    }
}
