namespace Amari.LeastSquares;

/// <summary>Residuals whose squares are a robust loss: φ(r) = sign(r) s √ρ((r / s)²), so that ½ |φ(r)|² = ½ Σ s² ρ((r / s)²).</summary>
/// <remarks>Any method of least squares then minimises the robust loss without knowing of it: the gradient J'φ'φ is exact, and the
/// Gauss-Newton matrix has the weights φ'² = (r ρ' / s)² / ρ, which are positive where Triggs' correction ρ' + 2ρ''(r / s)² is zero or
/// negative.</remarks>
internal static class RobustResiduals
{
    private const double Small = 1e-6, // z below which log(1 + z) / z is a polynomial
        Large = 1e100; // |r / s| from which z is not formed: it would overflow

    /// <summary>φ(r), differentiable twice, except at the scale for Huber's loss; with the shape of r.</summary>
    /// <param name="r">Weighted residuals.</param>
    /// <param name="loss">ρ.</param>
    /// <param name="scale">s > 0.</param>
    public static Tensor Of(Tensor r, RobustLoss loss, double scale) =>
        loss switch
        {
            RobustLoss.Huber => where(r.abs().le(scale), r, Far(r, scale)),
            RobustLoss.SoftL1 => r * Math.Sqrt(2) / (Root(r, scale) + 1).sqrt(),
            RobustLoss.Cauchy => Cauchy(r, scale),
            _ => r,
        };

    /// <summary>ψ(r) = r ρ'((r / s)²), the influence of a residual, and its derivative ψ'(r); both with the shape of r, without
    /// graphs.</summary>
    public static (Tensor Influence, Tensor Slope) Influence(Tensor r, RobustLoss loss, double scale)
    {
        switch (loss)
        {
            case RobustLoss.Huber:
                return (r.clamp(-scale, scale), r.abs().le(scale).to_type(r.dtype));
            case RobustLoss.SoftL1:
                var root = 1 / Root(r, scale);
                return (r * root, root.pow(3));
            case RobustLoss.Cauchy:
                var weight = 1 / ((r / scale).square() + 1);
                return (r * weight, weight * (2 * weight - 1)); // (1 - z) / (1 + z)²
            default:
                return (r.clone(), ones_like(r));
        }
    }

    /// <summary>√(1 + z), which is finite where z is not.</summary>
    private static Tensor Root(Tensor r, double scale) => (r / scale).hypot(ones_like(r));

    // Its argument is kept at 1 or above where it does not count: there the root has no derivative.
    private static Tensor Far(Tensor r, double scale) => r.sign() * scale * (2 / scale * r.abs() - 1).clamp(min: 1).sqrt();

    // Near 0, r √(log(1 + z) / z); elsewhere the root of log(1 + z) itself, where z ≥ Small keeps its derivative finite.
    private static Tensor Cauchy(Tensor r, double scale)
    {
        var q = (r / scale).abs();
        double least = Math.Sqrt(Small);
        var (near, far) = (q.clamp(max: least).square(), q.clamp(min: least));
        var bounded = far.clamp(max: Large);
        var log = bounded.square().log1p() + 2 * (far / bounded).log();
        return where(q.lt(least), r * (1 - near / 2 + near.square() / 3).sqrt(), r.sign() * scale * log.sqrt());
    }
}
