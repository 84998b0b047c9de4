namespace Amari.Solvers;

/// <summary>The damped inverse of a positive semi-definite matrix by its largest eigenvalues (Frangella, Tropp and Udell 2023, arXiv:2110.02820, Algorithm 2.1).</summary>
/// <remarks><code>
/// Ω : [n, k]      the last inverse's directions and a few random ones; all random, and once more from what they gave, where there is none
/// Y = M Ω + ν Ω,  C C' = Ω' Y,  B = Y C⁻ᵀ,  B' B = W diag(s) W',  U = B W s^-½,  t = s - ν       M ≈ U diag(t) U', one product with M
/// ρ = (tr M - Σ t) / (n - r)                                                                     what the rest of the eigenvalues is on average
/// (M + δ I)⁻¹ ≈ c I - P P',   c = 1 / (ρ + δ),   P = U diag(c - 1 / (t + δ))^½ : [n, r]
/// </code>The rank r is the least at which the inverse is off by a factor of 1 ± τ at most in any direction, max(t_{r+1} - ρ, ρ) / (ρ + δ) ≤ τ, as far as the k directions tell. Where that takes
/// more than n / 3, two thin products cost as much as a full one, and there is none.</remarks>
internal static class NystromInverse
{
    private const int Fewest = 8;                               // random directions
    private const int Cold = 8;                                 // n / 8 of them at first

    /// <summary>P' : [r, n] and c : [1]; null where r would be too large, or M is not finite. The caller owns both.</summary>
    /// <param name="matrix">M : [n, n], symmetric.</param>
    /// <param name="damping">δ > 0 : [1].</param>
    /// <param name="near">P' of the last inverse; null if there is none.</param>
    /// <param name="tolerance">τ > 0.</param>
    public static (Tensor Root, Tensor Scale)? Of(Tensor matrix, Tensor damping, Tensor? near, double tolerance)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1, CPU);
        long n = matrix.shape[^1];
        double delta = damping.ToDouble(), trace = matrix.diagonal().sum(ScalarType.Float64).ToDouble();
        if (!double.IsFinite(trace)) return null;
        bool warm = near is not null;
        var directions = warm
            ? cat([(near! / near!.square().sum(1, keepdim: true).sqrt_()).t(), Random(Math.Max(Fewest, near!.shape[0] / 8))], 1)
            : Random(Math.Max(Fewest, n / Cold));
        for (; directions.shape[1] <= n / 2; directions = cat([directions, Random(directions.shape[1] / 2)], 1))
        {
            if (Approximate(matrix, directions) is not { } found) return null;
            if (!warm && Approximate(matrix, found.Vectors) is { } better) found = better;
            var t = found.Values.to_type(ScalarType.Float64).data<double>().ToArray();
            double rest = trace;
            for (int r = 0; r < t.Length && 3 * r <= n; rest -= t[r++])
            {
                double rho = Math.Max(0, rest / (n - r)), c = 1 / (rho + delta);
                if (Math.Max(t[r] - rho, rho) * c > tolerance) continue;
                var root = found.Vectors.narrow(1, 0, r).mul((c - (found.Values.narrow(0, 0, r) + delta).reciprocal()).clamp_min_(0).sqrt_());
                return (root.t().contiguous().MoveToOuterDisposeScope(), tensor([c], dtype: matrix.dtype, device: matrix.device).MoveToOuterDisposeScope());
            }
            (directions, warm) = (found.Vectors, true);
        }
        return null;

        Tensor Random(long k) => randn([n, k], dtype: matrix.dtype, generator: generator).div_(Math.Sqrt(n)).to(matrix.device);
    }

    /// <summary>U : [n, k] and t : [k], descending; null where Ω' Y is not positive definite.</summary>
    private static (Tensor Vectors, Tensor Values)? Approximate(Tensor matrix, Tensor directions)
    {
        var y = matrix.matmul(directions);
        double shift = Math.Sqrt(matrix.shape[^1]) * finfo(matrix.dtype).eps * y.norm().ToDouble();
        y.add_(directions, alpha: shift);
        var (c, info) = linalg.cholesky_ex(directions.t().matmul(y));
        if (!info.eq(0).all().ToBoolean()) return null;
        var b = linalg.solve_triangular(c, y.t(), upper: false);   // B'
        if (SpdInverse.Eigh(b.matmul(b.t())).Eigen is not { } eigen) return null;
        var s = eigen.Values.flip(0);
        var vectors = b.t().matmul(eigen.Vectors.flip(1)).div_(s.clamp_min(shift * shift).sqrt());
        return (vectors, s.sub(shift).clamp_min_(0));
    }
}
