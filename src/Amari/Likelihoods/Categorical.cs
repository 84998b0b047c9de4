using Amari.Distributed;
using Amari.Likelihoods;

namespace Amari;

/// <summary>Classes from logits: p(y | f) = softmax(f)_y. Outputs are [n, C] or [n, r.., C]. Targets are [n] or [n, r..], integers in [0,
/// C) or -100.</summary>
/// <remarks>Every position is a term, so the mean loss is torch's cross-entropy. Score: softmax(f) - onehot(y). A position with the label
/// -100 is ignored, as with torch's <c>ignore_index</c>: it is no term, and its score and its rows of the curvature are 0.</remarks>
/// <example><code>
/// Tensor f = rand(3, 5), y = tensor([4L, 0L, -100L]);       // the label -100 is ignored
/// var likelihood = new Categorical();
/// using var loss = likelihood.Loss(f, y);                     // torch's cross-entropy
/// using var score = likelihood.Score(f, y);                   // softmax(f) - onehot(y), [3, 5]
/// using var product = likelihood.FisherProduct(f, rand(3, 5));
/// </code></example>
public sealed class Categorical : Likelihood
{
    /// <inheritdoc/>
    public override long Terms(Tensor output) => output.numel() / output.shape[^1];

    /// <inheritdoc/>
    public override long Terms(Tensor output, Tensor target)
    {
        using var scope = NewDisposeScope();
        return Targets.Labels(output, target).Counted;
    }

    /// <inheritdoc/>
    internal override Tensor? Counted(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (labels, counted) = Targets.Labels(output, target);
        return counted == labels.numel() ? null : Mask(labels, output).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target)
    {
        using var scope = NewDisposeScope();
        var (labels, counted) = Targets.Labels(output, target);
        return counted == 0
            ? output.sum().mul(0).MoveToOuterDisposeScope()
            : nn.functional.cross_entropy(Flat(output), labels.reshape(-1), reduction: nn.Reduction.Sum).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var y = Flat(output).softmax(-1).to(DrawDevice(output, generator)).multinomial(1, replacement: true, generator);
        return y.reshape(output.shape[..^1]).to(output.device).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (labels, counted) = Targets.Labels(output, target);
        var index = (counted == labels.numel() ? labels : labels.clamp_min(0)).unsqueeze(-1);
        var minusOne = full(1, -1, dtype: output.dtype, device: output.device).expand(index.shape);
        var score = output.softmax(-1).scatter_add_(-1, index, minusOne);
        if (counted < labels.numel())
            score.mul_(Mask(labels, output));
        return score.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Λ v, and 0 for ignored terms.</remarks>
    public override Tensor HessianProduct(Tensor output, Tensor target, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var product = FisherProduct(output, v);
        if (Counted(output, target) is { } counted)
            product.mul_(counted);
        return product.MoveToOuterDisposeScope();
    }

    private static Tensor Mask(Tensor labels, Tensor output) => labels.ne(TargetCheck.Ignored).unsqueeze(-1).to_type(output.dtype);

    /// <inheritdoc/>
    /// <remarks>Λ = diag(p) - p p' = S S' with S = (I - p 1') diag(√p): S v = u - p Σ u, u = √p ∘ v. At the most likely class m, (S v)_m =
    /// u_m Σ p_k - p_m Σ u_k over the other classes k ≠ m. This is exact even if p_m rounds to 1.</remarks>
    public override Tensor FisherRootProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (p, m) = (output.softmax(-1), output.argmax(-1, keepdim: true));
        var u = p.sqrt().mul_(v);
        var s = u.sub(p.mul(u.sum(-1, keepdim: true)));
        var (likeliest, its) = (p.gather(-1, m), u.gather(-1, m));
        var zero = zeros_like(likeliest);
        its.mul_(p.scatter_(-1, m, zero).sum(-1, keepdim: true)).sub_(likeliest.mul_(u.scatter_(-1, m, zero).sum(-1, keepdim: true)));
        return s.scatter_(-1, m, its).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Λ v = p ∘ (v - ⟨p, v⟩). As Λ 1 = 0, v may be taken relative to its entry at the most likely class. Then nothing cancels if
    /// that class's p rounds to 1.</remarks>
    public override Tensor FisherProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var p = output.softmax(-1);
        var u = v.sub(v.gather(-1, output.argmax(-1, keepdim: true)));
        return u.sub(p.mul(u).sum(-1, keepdim: true)).mul_(p).MoveToOuterDisposeScope();
    }

    /// <summary>A loss of class probabilities does not change if all logits of a term increase equally, so the gradient's entries sum to
    /// zero. This does not hold if the outputs are log-probabilities already. A penalty on the logits adds little to the gradient in the
    /// first steps.</summary>
    internal override bool CouldBeScore(Tensor output, Tensor gradient)
    {
        const double Share = 0.2,
            Normalised = 1e-3;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var f = Flat(output).to_type(ScalarType.Float64);
        return !(RowSums(Flat(gradient).to_type(ScalarType.Float64)) > Share) || f.logsumexp(-1).abs().max().ToDouble() < Normalised;
    }

    /// <summary>A term's gradient is 0 only if its label has all of the probability.</summary>
    internal override bool LeavesOut(Tensor output, Tensor gradient)
    {
        const double Certain = 0.99;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var still = Flat(gradient).abs().sum(-1).eq(0);
        return !still.all().ToBoolean() && still.logical_and_(Flat(output).softmax(-1).amax([-1]).lt(Certain)).any().ToBoolean();
    }

    /// <inheritdoc/>
    internal override bool IsBeyondTargets(Tensor output, Tensor score)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return AreNoProbabilities(Flat(output).softmax(-1) - Flat(score));
    }

    /// <inheritdoc/>
    public override Tensor KlDivergence(Tensor output, Tensor other)
    {
        using var scope = NewDisposeScope();
        return Flat(RelativeEntropy(output.log_softmax(-1), other.log_softmax(-1))).sum(1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The entropy of the label frequencies over all positions that count; the minimum is 0. Null if a label is
    /// negative.</remarks>
    public override ConstantPrediction? BestConstant(Tensor targets)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        if (targets.is_floating_point() || targets.is_complex())
            return null;
        var labels = targets.masked_select(targets.ne(TargetCheck.Ignored)).to_type(ScalarType.Int64);
        if (labels.numel() == 0 || labels.min().ToInt64() < 0)
            return null;
        var p = labels.bincount(null, 0).to_type(ScalarType.Float64).div_(labels.numel());
        return new(-p.xlogy(p).sum().ToDouble(), 0);
    }
}
