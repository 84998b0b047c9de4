namespace Amari;

/// <summary>Gaussian targets with a predicted mean and variance: -log p = ½ Σ [ s + (y - μ)² e^-s + log 2π ], s = log σ². Outputs are [n,
/// 2k] = (μ, s), targets [n, k].</summary>
/// <remarks>An example is one term. With more dimensions, [n, r.., 2k], the last one holds (μ, s). Score: (μ - y) e^-s and ½ (1 - (y - μ)²
/// e^-s). The outputs are not natural parameters: the Hessian of -log p depends on y and may be indefinite, and Λ is its mean over y. e^-s
/// overflows below s = -88.7 (float32) or -709.8 (float64); the values are infinite or NaN there. e^s, which only samples and the KL
/// divergence need, overflows above the opposite values.</remarks>
public sealed class HeteroscedasticGaussian : Likelihood
{
    internal override bool IsNatural => false;

    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target)
    {
        using var scope = NewDisposeScope();
        var (mean, s) = Parts(output);
        return (s + (Fit(output, target) - mean).square() * (-s).exp() + Math.Log(2 * Math.PI)).sum().div(2).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (mean, s) = Parts(output);
        return randn(mean.shape, dtype: output.dtype, device: DrawDevice(output, generator), generator: generator)
            .to(output.device)
            .mul_(s.div(2).exp_())
            .add_(mean)
            .MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (mean, s) = Parts(output);
        var error = mean.sub(Fit(output, target));
        var scaled = s.neg().exp_().mul_(error);
        return cat([scaled, error.mul_(scaled).neg_().add_(1).div_(2)], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Λ = diag(e^-s, ½).</remarks>
    public override Tensor FisherRootProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (a, b) = Parts(v);
        return cat([Parts(output).LogVariance.div(-2).exp_().mul_(a), b.mul(Math.Sqrt(0.5))], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>Λ (a, b) = (e^-s a, b / 2).</remarks>
    public override Tensor FisherProduct(Tensor output, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (a, b) = Parts(v);
        return cat([Parts(output).LogVariance.neg().exp_().mul_(a), b.div(2)], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>With r = y - μ: H (a, b) = (e^-s (a + r b), e^-s r (a + r b / 2)).</remarks>
    public override Tensor HessianProduct(Tensor output, Tensor target, Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (mean, s) = Parts(output);
        var (a, b) = Parts(v);
        var (precision, r) = (s.neg().exp_(), Fit(output, target).sub(mean));
        var rb = r.mul(b);
        return cat([rb.add(a).mul_(precision), rb.div(2).add_(a).mul_(r).mul_(precision)], -1).MoveToOuterDisposeScope();
    }

    /// <summary>False if the log variances have no gradient at all but the means do. That requires (y - μ)² = σ² in every output, which
    /// does not happen by chance.</summary>
    internal override bool CouldBeScore(Tensor output, Tensor gradient)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var (mean, s) = Parts(gradient);
        return s.count_nonzero().ToInt64() > 0 || mean.count_nonzero().ToInt64() == 0;
    }

    /// <inheritdoc/>
    /// <remarks>½ Σ [ e^(s - s') - 1 - (s - s') + (μ - μ')² e^-s' ].</remarks>
    public override Tensor KlDivergence(Tensor output, Tensor other)
    {
        using var scope = NewDisposeScope();
        var (mean, s) = Parts(output);
        var (otherMean, otherS) = Parts(other);
        var spread = RelativeEntropy(zeros_like(s), s - otherS);
        return Flat((spread + (mean - otherMean).square() * (-otherS).exp()) / 2).sum(1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    /// <remarks>½ Σ (log v + 1 + log 2π) with v the variance of y. The minimum lacks the 1, because v is kept. Null if an output is
    /// constant.</remarks>
    public override ConstantPrediction? BestConstant(Tensor targets)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var v = targets.to_type(ScalarType.Float64).var(0, unbiased: false);
        double known = (v.log() + Math.Log(2 * Math.PI)).sum().ToDouble() / 2;
        return double.IsFinite(known) ? new(known + v.numel() / 2.0, known) : null;
    }

    private Tensor Fit(Tensor output, Tensor target) =>
        Targets.Numbers(output, target, [.. output.shape[..^1], output.shape[^1] / 2], "[n, k] for outputs [n, 2k]");

    private static (Tensor Mean, Tensor LogVariance) Parts(Tensor output)
    {
        long width = output.dim() > 1 ? output.shape[^1] : 1;
        if (width % 2 != 0)
            throw new ArgumentException(
                $"{nameof(HeteroscedasticGaussian)}: outputs must be [n, 2k], the means and the log variances. "
                    + $"They are {output.dtype} [{string.Join(", ", output.shape)}].",
                nameof(output)
            );
        return (output.narrow(-1, 0, width / 2), output.narrow(-1, width / 2, width / 2));
    }
}
