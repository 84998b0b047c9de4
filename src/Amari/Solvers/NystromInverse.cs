using Amari.Native;

namespace Amari.Solvers;

/// <summary>The damped inverse of a positive semi-definite matrix by its largest eigenvalues (Frangella, Tropp and Udell 2023,
/// arXiv:2110.02820, Algorithm 2.1).</summary>
/// <remarks><code>
/// Ω : [n, k]      the last inverse's directions and a few random ones; from U twice more where those are needed
/// Y = M Ω + ν Ω,  C C' = Ω' Y,  B = Y C⁻ᵀ,  B' B = W diag(s) W',  U = B W s^-½,  t = s - ν       M ≈ U diag(t) U', one product with M
/// ρ = (tr M - Σ t) / (n - r)       the mean of the other eigenvalues
/// (M + δ I)⁻¹ ≈ c (I - P P'),   c = 1 / (ρ + δ),   P = U diag(1 - (ρ + δ) / (t + δ))^½ : [n, r]
/// </code>
/// The rank r ≥ 1 is the least at which the inverse is off by a factor of 1 ± τ at most in any direction, max(t_{r+1} - ρ, ρ) / (ρ + δ) ≤
/// τ, as far as the k directions tell. Where that takes more than n / 4, thin products and their refresh save nothing over a full one, and
/// there is none; nor where it seems so from the first directions.</remarks>
internal static class NystromInverse
{
    private const int Fewest = 8; // random directions
    private const int Cold = 8; // n / 8 of them at first
    private const int Guards = 4;
    private const int Widest = 4; // n / 4 is the largest rank
    private const int Refinements = 2;
    private const double Guarded = 32; // roundings, that I - P P' stays positive

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
        double delta = damping.ToDouble(),
            trace = matrix.diagonal().sum(ScalarType.Float64).ToDouble();
        if (!double.IsFinite(trace))
            return null;
        var last = near is null ? null : Directions(near);
        long most = n / Widest,
            enough = most + most / 7 + Guards; // directions of which as many as the largest rank are trusted
        long known = last?.shape[1] ?? 0; // directions that are not new
        var directions = last is null ? Random(Math.Max(Fewest, n / Cold)) : cat([last, Random(Math.Max(Fewest, known / 4))], 1);
        while (directions.shape[1] <= n / 2)
        {
            if (Approximate(matrix, directions) is not { } found)
                return null;
            int r = Rank(found.Values);
            if (r > known) // new ones are needed
            {
                for (int i = 0; i < Refinements; i++)
                {
                    if (Approximate(matrix, found.Vectors) is not { } better)
                        return null;
                    found = better;
                }
                (r, known) = (Rank(found.Values), directions.shape[1]);
            }
            long trusted = Trusted(directions.shape[1]);
            if (r > most || (r > trusted && TakesTooMany(found.Values)))
                return null;
            if (r <= trusted)
            {
                double rho = Rest(found.Values, r);
                var root = found
                    .Vectors.narrow(1, 0, r)
                    .mul(
                        (1 - (rho + delta) / (found.Values.narrow(0, 0, r) + delta))
                            .clamp_(0, 1 - Guarded * finfo(matrix.dtype).eps)
                            .sqrt_()
                    );
                return (
                    root.t().contiguous().MoveToOuterDisposeScope(),
                    tensor([1 / (rho + delta)], dtype: matrix.dtype, device: matrix.device).MoveToOuterDisposeScope()
                );
            }
            directions = cat([found.Vectors, Random(Math.Clamp(enough - known, Fewest, Math.Max(Fewest, known)))], 1);
        }
        return null;

        // ρ beside the r largest
        double Rest(Tensor values, int r) => Math.Max(0, (trace - values.narrow(0, 0, r).sum(ScalarType.Float64).ToDouble()) / (n - r));

        // the least r ≥ 1 within the tolerance; all where there is none
        int Rank(Tensor values)
        {
            var t = values.Elements<double>();
            double rest = trace;
            for (int r = 1; r < t.Length; r++)
            {
                rest -= t[r - 1];
                double rho = Math.Max(0, rest / (n - r));
                if (Math.Max(t[r] - rho, rho) <= tolerance * (rho + delta))
                    return r;
            }
            return t.Length;
        }

        // the last ones tell least
        static long Trusted(long k) => k - Math.Max(Guards, k / 8);

        // whether the tolerance is missed at the largest rank if the eigenvalues go on to fall as between a quarter and half of the
        // directions: the fall of spectra lies between an exponential
        // and a power of the index, and is taken in the middle (in the logarithm)
        bool TakesTooMany(Tensor values)
        {
            var t = values.Elements<double>();
            int half = t.Length / 2,
                quarter = t.Length / 4;
            if (quarter < 1 || half >= most || !(t[half - 1] > 0))
                return false;
            double rate = Math.Log(t[quarter - 1] / t[half - 1]),
                rest = trace - t.Take(half).Sum(),
                next = t[half - 1];
            for (long r = half + 1; r <= most + 1; r++)
            {
                double falls = ((r - half) / (double)(half - quarter) + Math.Log(r / (double)half) / Math.Log(half / (double)quarter)) / 2;
                next = t[half - 1] * Math.Exp(-rate * falls);
                if (r <= most)
                    rest -= next;
            }
            double rho = rest / (n - most);
            return rest > 0 && Math.Max(next - rho, rho) > tolerance * (rho + delta); // 0 and less: the trace is used up before
        }

        Tensor Random(long k) => randn([n, k], dtype: matrix.dtype, generator: generator).div_(Math.Sqrt(n)).to(matrix.device);
    }

    /// <summary>Those of P' that tell one, of length 1: [n, k].</summary>
    private static Tensor Directions(Tensor near)
    {
        var lengths = near.square().sum(1).sqrt_();
        var some = lengths.gt(0).nonzero().squeeze(1);
        return near.index_select(0, some).div_(lengths.index_select(0, some).unsqueeze(1)).t();
    }

    /// <summary>U : [n, k] and t : [k], descending; null where Ω' Y is not positive definite.</summary>
    private static (Tensor Vectors, Tensor Values)? Approximate(Tensor matrix, Tensor directions)
    {
        var y = matrix.MatrixProduct(directions);
        double shift = Math.Sqrt(matrix.shape[^1]) * finfo(matrix.dtype).eps * y.norm().ToDouble();
        y.add_(directions, alpha: shift);
        var (c, info) = linalg.cholesky_ex(directions.t().MatrixProduct(y));
        if (!info.eq(0).all().ToBoolean())
            return null;
        var b = linalg.solve_triangular(c, y.t(), upper: false); // B'
        if (SpdInverse.Eigh(b.MatrixProduct(b.t())).Eigen is not { } eigen)
            return null;
        var s = eigen.Values.flip(0);
        var vectors = b.t().MatrixProduct(eigen.Vectors.flip(1)).div_(s.clamp_min(shift).sqrt());
        return (vectors, s.sub(shift).clamp_min_(0));
    }
}
