namespace Amari;

/// <summary>Least squares: -log p = ½ |y - f|² up to a constant, which is left out, so that the loss of an exact fit is 0. Outputs and
/// targets have equal shapes [n, ...].</summary>
/// <remarks>An example is one term. It is a <see cref="Gaussian"/> of variance 1 without the constant: the same score f - y, samples and
/// Fisher, Λ = I.</remarks>
public sealed class SquaredError : Likelihood
{
    internal override double? Precision => 1;

    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target)
    {
        using var sum = nn.functional.mse_loss(output, Fit(output, target), reduction: nn.Reduction.Sum);
        return sum / 2;
    }

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return randn(output.shape, dtype: output.dtype, device: DrawDevice(output, generator), generator: generator)
            .to(output.device)
            .add(output)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.sub(Fit(output, target)).MoveToOuterDisposeScope();
    }

    private Tensor Fit(Tensor output, Tensor target) => Targets.Numbers(output, target, output.shape, "shaped as the outputs");

    /// <inheritdoc/>
    /// <remarks>Λ = I.</remarks>
    public override Tensor FisherRootProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        return v.clone();
    }

    /// <inheritdoc/>
    /// <remarks>Λ v = v.</remarks>
    public override Tensor FisherProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        return v.clone();
    }

    /// <summary>Some target has any gradient, on any scale, so only the gradient of a softmax over the outputs is detected.</summary>
    internal override bool CouldBeScore(Tensor output, Tensor gradient) => !IsOfSoftmax(output, gradient);

    /// <inheritdoc/>
    /// <remarks>½ |f - f'|².</remarks>
    public override Tensor KlDivergence(Tensor output, Tensor other)
    {
        using var scope = NewDisposeScope();
        return Flat((output - other).square()).sum(1).div(2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The mean of ½ Σ (y - mean of y)²; the minimum is 0.</remarks>
    public override ConstantPrediction? BestConstant(Tensor targets)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var y = targets.is_floating_point() ? targets : targets.to_type(ScalarType.Float64);
        return new(MeanOfExamples((y - y.mean([0], keepdim: true)).square()) / 2, 0);
    }
}
