namespace Amari;

/// <summary>Independent counts from log rates: p(y | f) = λ^y e^-λ / y!, λ = eᶠ. Outputs and targets have equal shapes [n, ...]; targets
/// are ≥ 0.</summary>
/// <remarks>An example is one term: the loss sums over its outputs and averages over examples, and log y! is part of it. Score: λ - y. λ
/// overflows from f = 88.7 (float32) or 709.8 (float64) on: the loss and the Fisher are then infinite, and the KL divergence is infinite or
/// NaN. For very negative f, λ is 0 and all values stay finite.</remarks>
public sealed class Poisson : Likelihood
{
    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target)
    {
        using var scope = NewDisposeScope();
        var y = Fit(output, target);
        return (output.exp() - y * output + y.add(1).lgamma()).sum().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return poisson(output.exp().to(DrawDevice(output, generator)), generator).to(output.device).MoveToOuterDisposeScope();
    }

    private protected override bool DrawsVary => true;

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.exp().sub_(Fit(output, target)).MoveToOuterDisposeScope();
    }

    private Tensor Fit(Tensor output, Tensor target) => Targets.Numbers(output, target, output.shape, "shaped as the outputs", min: 0);

    /// <inheritdoc/>
    /// <remarks>Λ = diag(λ).</remarks>
    public override Tensor FisherRootProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.div(2).exp_().mul_(v).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Λ v = λ ∘ v.</remarks>
    public override Tensor FisherProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        return output.exp().mul_(v);
    }

    /// <summary>Some weights and counts have almost any gradient, so only the gradient of a softmax over the outputs is detected.</summary>
    internal override bool CouldBeScore(Tensor output, Tensor gradient) => !IsOfSoftmax(output, gradient);

    /// <inheritdoc/>
    public override Tensor KlDivergence(Tensor output, Tensor other)
    {
        using var scope = NewDisposeScope();
        return Flat(RelativeEntropy(output, other)).sum(1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The mean of Σ (m - y log m + log y!) with m the mean of y. In the minimum, m is y itself.</remarks>
    public override ConstantPrediction? BestConstant(Tensor targets)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        targets = targets.to_type(ScalarType.Float64); // from any numeric dtype
        double factorials = MeanOfExamples(targets.add(1).lgamma());
        var mean = targets.mean([0], keepdim: true, type: ScalarType.Float64);
        return new(factorials + MeanOfExamples(mean - mean.xlogy(mean)), factorials + MeanOfExamples(targets - targets.xlogy(targets)));
    }
}
