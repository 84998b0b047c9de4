namespace Amari;

/// <summary>Classes from logits: p(y | f) = softmax(f)_y. Outputs [n, C] or [n, r.., C], targets int64 [n] or [n, r..].</summary>
/// <remarks>Every position is a term of its own, so that the mean loss is torch's cross-entropy.
/// Score: softmax(f) - onehot(y).</remarks>
public sealed class Categorical : Likelihood
{
    /// <inheritdoc/>
    public override long Terms(Tensor output) => output.numel() / output.shape[^1];

    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target) =>
        nn.functional.cross_entropy(output.reshape(-1, output.shape[^1]), target.reshape(-1), reduction: nn.Reduction.Sum);

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var p = output.reshape(-1, output.shape[^1]).softmax(-1);
        using var y = p.multinomial(1, replacement: true, generator);
        return y.reshape(output.shape[..^1]);
    }

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var minusOne = full(1, -1, dtype: output.dtype, device: output.device);
        using var index = target.unsqueeze(-1);
        return output.softmax(-1).scatter_add_(-1, index, minusOne.expand(index.shape));
    }

    /// <inheritdoc/>
    /// <remarks>Λ = diag(p) - p p' = S S' with S = (I - p 1') diag(√p): column c is √p_c (e_c - p).</remarks>
    public override Tensor FisherRootColumn(Tensor output, long column)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var p = Flat(output).softmax(-1);
        var root = p.select(1, column).sqrt().unsqueeze(1);
        var s = p.neg().mul_(root);
        s.select(1, column).add_(root.squeeze(1));
        return s.view(output.shape).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Λ v = p ∘ (v - ⟨p, v⟩).</remarks>
    public override Tensor FisherProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var p = output.softmax(-1);
        return v.sub(p.mul(v).sum(-1, keepdim: true)).mul_(p).MoveToOuterDisposeScope();
    }
}
