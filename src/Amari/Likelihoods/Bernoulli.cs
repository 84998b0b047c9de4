using Amari.Distributed;

namespace Amari;

/// <summary>Independent binary outputs from logits: p(y | f) = ∏ σ(f)^y (1 - σ(f))^(1-y). Outputs and targets have equal shapes [n, ...];
/// targets are in [0, 1].</summary>
/// <remarks>An example is one term: the loss sums over its outputs and averages over examples. Score: σ(f) - y.</remarks>
public sealed class Bernoulli : Likelihood
{
    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target)
    {
        using var scope = NewDisposeScope();
        return nn
            .functional.binary_cross_entropy_with_logits(output, Fit(output, target), reduction: nn.Reduction.Sum)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.sigmoid().to(DrawDevice(output, generator)).bernoulli(generator).to(output.device).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.sigmoid().sub_(Fit(output, target)).MoveToOuterDisposeScope();
    }

    private Tensor Fit(Tensor output, Tensor target) => Targets.Numbers(output, target, output.shape, "shaped as the outputs", 0, 1);

    /// <inheritdoc/>
    /// <remarks>Λ = diag(σ (1 - σ)); σ(f) (1 - σ(f)) is computed as σ(f) σ(-f), exact in both tails.</remarks>
    public override Tensor FisherRootProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.sigmoid().mul_(output.neg().sigmoid_()).sqrt_().mul_(v).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Λ v = σ(f) σ(-f) ∘ v.</remarks>
    public override Tensor FisherProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.sigmoid().mul_(output.neg().sigmoid_()).mul_(v).MoveToOuterDisposeScope();
    }

    /// <summary>Some weights and targets in [0, 1] have any gradient, so only the gradient of a softmax over the outputs is
    /// detected.</summary>
    internal override bool CouldBeScore(Tensor output, Tensor gradient) => !IsOfSoftmax(output, gradient);

    /// <inheritdoc/>
    internal override bool IsBeyondTargets(Tensor output, Tensor score)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return AreNoProbabilities(Flat(output).sigmoid() - Flat(score));
    }

    /// <inheritdoc/>
    public override Tensor KlDivergence(Tensor output, Tensor other)
    {
        using var scope = NewDisposeScope();
        var one = RelativeEntropy(nn.functional.logsigmoid(output), nn.functional.logsigmoid(other));
        var zero = RelativeEntropy(nn.functional.logsigmoid(-output), nn.functional.logsigmoid(-other));
        return Flat(one + zero).sum(1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Σ H(mean of y); the minimum is the mean of Σ H(y), where H is the binary entropy.</remarks>
    public override ConstantPrediction? BestConstant(Tensor targets)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        targets = targets.to_type(ScalarType.Float64); // from any numeric dtype
        return new(MeanOfExamples(Entropy(targets.mean([0], keepdim: true, type: ScalarType.Float64))), MeanOfExamples(Entropy(targets)));

        static Tensor Entropy(Tensor p)
        {
            var q = 1 - p;
            return -(p.xlogy(p) + q.xlogy(q));
        }
    }
}
