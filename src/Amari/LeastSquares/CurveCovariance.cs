namespace Amari.LeastSquares;

/// <summary>The covariance of the parameters of a fit, (J'J)⁻¹ times the variance of a residual.</summary>
/// <remarks><code>
/// J = ∂r/∂b = U S V' with columns of norm 1,   (J'J)⁻¹ = V S⁻² V'
/// least squares:  σ² = RSS / (n - p), or 1 where the weights are known to be 1 / σ
/// robust losses:  k² [Σ ψ² / (n - p)] / m²,  m = mean ψ',  k = 1 + (p / n) var ψ' / m²     Huber 1981, section 7.6
/// </code>The second is the first where all residuals are small.</remarks>
internal static class CurveCovariance
{
    /// <summary>(J'J)⁻¹ : [p, p], and the rank of J. Without full rank every entry is infinite.</summary>
    /// <param name="jacobian">J : [n, p], n ≥ p.</param>
    public static (Tensor Inverse, int Rank) Inverse(Tensor jacobian)
    {
        using var scope = NewDisposeScope();
        long p = jacobian.shape[1];
        var norms = jacobian.norm(0, false, 2);
        var scale = norms.masked_fill(norms.eq(0), 1);
        var (_, s, vh) = linalg.svd(jacobian / scale, fullMatrices: false);
        double smallest = finfo(jacobian.dtype).eps * Math.Max(jacobian.shape[0], p) * s[0].ToDouble();
        int rank = (int)s.gt(smallest).sum().ToInt64();
        if (rank < p)
            return (full([p, p], double.PositiveInfinity, dtype: jacobian.dtype).MoveToOuterDisposeScope(), rank);
        var root = vh.t() / s / scale.unsqueeze(1); // D⁻¹ V S⁻¹
        return (root.mm(root.t()).MoveToOuterDisposeScope(), rank);
    }

    /// <summary>The factor on (J'J)⁻¹; infinite without degrees of freedom.</summary>
    /// <param name="r">The weighted residuals : [n].</param>
    /// <param name="p">The number of free parameters.</param>
    /// <param name="loss">ρ.</param>
    /// <param name="scale">s.</param>
    public static double Variance(Tensor r, long p, RobustLoss loss, double scale)
    {
        using var scope = NewDisposeScope();
        long n = r.shape[0];
        if (n <= p)
            return double.PositiveInfinity;
        var (influence, slope) = RobustResiduals.Influence(r, loss, scale);
        double variance = influence.dot(influence).ToDouble() / (n - p);
        if (loss == RobustLoss.Squares)
            return variance;
        double m = slope.mean().ToDouble(),
            spread = slope.sub(m).square().mean().ToDouble(),
            k = 1 + (double)p / n * spread / (m * m);
        return k * k * variance / (m * m);
    }
}
