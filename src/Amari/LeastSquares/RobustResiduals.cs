namespace Amari.LeastSquares;

/// <summary>Residuals whose squares are a robust loss: φ(r) = sign(r) s √ρ((r / s)²), so that ½ |φ(r)|² = ½ Σ s² ρ((r / s)²).</summary>
/// <remarks>Any method of least squares then minimises the robust loss without knowing of it: the gradient J'φ'φ is exact, and the
/// Gauss-Newton matrix has the weights φ'² = (r ρ' / s)² / ρ, which are positive where Triggs' correction ρ' + 2ρ''(r / s)² is zero or
/// negative.</remarks>
internal static class RobustResiduals
{
    private const double Small = 1e-6; // z below which log(1 + z) / z is a polynomial

    /// <summary>φ(r), differentiable twice, except at the scale for Huber's loss; with the shape of r.</summary>
    /// <param name="r">Weighted residuals.</param>
    /// <param name="loss">ρ.</param>
    /// <param name="scale">s > 0.</param>
    public static Tensor Of(Tensor r, RobustLoss loss, double scale) =>
        loss switch
        {
            RobustLoss.Huber => where(r.abs().le(scale), r, Far(r, scale)),
            RobustLoss.SoftL1 => r * (2 / (Square(r, scale).add(1).sqrt() + 1)).sqrt(),
            RobustLoss.Cauchy => r * LogRatio(Square(r, scale)).sqrt(),
            _ => r,
        };

    /// <summary>ψ(r) = r ρ'((r / s)²), the influence of a residual, and its derivative ψ'(r); both with the shape of r, without
    /// graphs.</summary>
    public static (Tensor Influence, Tensor Slope) Influence(Tensor r, RobustLoss loss, double scale)
    {
        var z = Square(r, scale);
        switch (loss)
        {
            case RobustLoss.Huber:
                return (r.clamp(-scale, scale), r.abs().le(scale).to_type(r.dtype));
            case RobustLoss.SoftL1:
                var root = z.add(1).rsqrt();
                return (r * root, root.pow(3));
            case RobustLoss.Cauchy:
                return (r / (z + 1), (1 - z) / (z + 1).square());
            default:
                return (r.clone(), ones_like(r));
        }
    }

    private static Tensor Square(Tensor r, double scale) => (r / scale).square();

    // Its argument is kept at 1 or above where it does not count: there the root has no derivative.
    private static Tensor Far(Tensor r, double scale) => r.sign() * scale * (2 / scale * r.abs() - 1).clamp(min: 1).sqrt();

    private static Tensor LogRatio(Tensor z)
    {
        var large = z.clamp(min: Small);
        return where(z.lt(Small), 1 - z / 2 + z.square() / 3, large.log1p() / large);
    }
}
