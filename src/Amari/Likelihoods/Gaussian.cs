using Amari.Distributed;
using Amari.Native;

namespace Amari;

/// <summary>Outputs with Gaussian noise of a fixed variance: -log p = |y - f|² / (2 σ²) + const. Outputs and targets have equal shapes [n,
/// ...].</summary>
/// <remarks>An example is one term. The constant (k/2) log(2πσ²) is part of the loss. With σ² = 1/2 the loss is the squared error up to
/// that constant. Score: (f - y) / σ².</remarks>
/// <param name="variance">σ² > 0.</param>
public sealed class Gaussian(double variance = 1) : Likelihood
{
    /// <summary>σ².</summary>
    public double Variance { get; } = Require.Positive(variance, nameof(variance));

    internal override double? Precision => 1 / Variance;

    internal override double ConstantOfOutput => 0.5 * Math.Log(2 * Math.PI * Variance);

    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target)
    {
        using var scope = NewDisposeScope();
        return (
            nn.functional.mse_loss(output, Fit(output, target), reduction: nn.Reduction.Sum) / (2 * Variance)
            + output.numel() * ConstantOfOutput
        ).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return randn(output.shape, dtype: output.dtype, device: DrawDevice(output, generator), generator: generator)
            .to(output.device)
            .mul_(Math.Sqrt(Variance))
            .add(output)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return output.sub(Fit(output, target)).div_(Variance).MoveToOuterDisposeScope();
    }

    private Tensor Fit(Tensor output, Tensor target) => Targets.Numbers(output, target, output.shape, "shaped as the outputs");

    /// <inheritdoc/>
    /// <remarks>Λ = I / σ².</remarks>
    public override Tensor FisherRootProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        return v.div(Math.Sqrt(Variance));
    }

    /// <inheritdoc/>
    /// <remarks>Λ v = v / σ².</remarks>
    public override Tensor FisherProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        return v.div(Variance);
    }

    /// <summary>Some target has any gradient, on any scale, so only the gradient of a softmax over the outputs is detected.</summary>
    internal override bool CouldBeScore(Tensor output, Tensor gradient) => !IsOfSoftmax(output, gradient);

    /// <inheritdoc/>
    /// <remarks>|f - f'|² / (2 σ²).</remarks>
    public override Tensor KlDivergence(Tensor output, Tensor other)
    {
        using var scope = NewDisposeScope();
        return Flat((output - other).square()).sum(1).div(2 * Variance).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>The mean of Σ (y - mean of y)² / (2 σ²) plus the constant; the minimum is the constant.</remarks>
    public override ConstantPrediction? BestConstant(Tensor targets)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        double constant = (double)targets.numel() / targets.shape[0] * ConstantOfOutput;
        var y = targets.is_floating_point() ? targets : targets.to_type(ScalarType.Float64);
        return new(constant + MeanOfExamples((y - y.mean([0], keepdim: true)).square()) / (2 * Variance), constant);
    }
}
