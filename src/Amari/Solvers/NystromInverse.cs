using Amari.Native;

namespace Amari.Solvers;

/// <summary>The damped inverse of a positive semidefinite matrix from its largest eigenvalues (Frangella, Tropp and Udell 2023,
/// arXiv:2110.02820, Algorithm 2.1).</summary>
/// <remarks><code>
/// Ω : [n, k]      the last inverse's directions and a few random ones; refined twice from U if new directions are needed
/// Y = M Ω + ν Ω,  C C' = Ω' Y,  B = Y C⁻ᵀ,  B' B = W diag(s) W',  U = B W s^-½,  t = s - ν       M ≈ U diag(t) U', one product with M
/// ρ = (tr M - Σ t) / (n - r)       the mean of the other eigenvalues
/// (M + δ I)⁻¹ ≈ c (I - P P'),   c = 1 / (ρ + δ),   P = U diag(1 - (ρ + δ) / (t + δ))^½ : [n, r]
/// </code>
/// r ≥ 1 is the smallest rank at which the inverse is within a factor of 1 ± τ in every direction: max(t_{r+1} - ρ, ρ) / (ρ + δ) ≤ τ, as
/// far as the k directions show. There is no result if that needs a rank above n / 4, where thin products and their refresh save nothing
/// over a dense inverse, or if the first directions predict such a rank.</remarks>
internal static class NystromInverse
{
    private const int MinRandom = 8; // random directions
    private const int InitialShare = 8; // n / 8 random directions if there is no last inverse
    private const int GuardDirections = 4;
    private const int RankShare = 4; // n / 4 is the maximum rank
    private const int Refinements = 2;
    private const double Guarded = 32; // machine epsilons by which I - P P' stays positive

    /// <summary>P' : [r, n] and c : [1]. Null if r would be too large or M is not finite. The caller owns both.</summary>
    /// <param name="matrix">M : [n, n], symmetric.</param>
    /// <param name="damping">δ > 0 : [1].</param>
    /// <param name="near">P' of the last inverse, or null.</param>
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
        var criterion = new Criterion(trace, n, delta, tolerance);
        long neededDirections = criterion.MaxRank + criterion.MaxRank / 7 + GuardDirections; // directions needed to trust the maximum rank
        long known = last?.shape[1] ?? 0; // directions from the last inverse
        var directions = last is null
            ? Random(Math.Max(MinRandom, n / InitialShare))
            : cat([last, Random(Math.Max(MinRandom, known / 4))], 1);
        while (directions.shape[1] <= n / 2)
        {
            if (Approximate(matrix, directions) is not { } found)
                return null;
            int r = criterion.Rank(found.Values);
            if (r > known) // new directions are needed
            {
                for (int i = 0; i < Refinements; i++)
                {
                    if (Approximate(matrix, found.Vectors) is not { } better)
                        return null;
                    found = better;
                }
                (r, known) = (criterion.Rank(found.Values), directions.shape[1]);
            }
            long trusted = Criterion.Trusted(directions.shape[1]);
            if (r > criterion.MaxRank || (r > trusted && criterion.TakesTooMany(found.Values)))
                return null;
            if (r <= trusted)
            {
                double rho = criterion.Rest(found.Values, r);
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
            directions = cat([found.Vectors, Random(Math.Clamp(neededDirections - known, MinRandom, Math.Max(MinRandom, known)))], 1);
        }
        return null;

        Tensor Random(long k) => randn([n, k], dtype: matrix.dtype, generator: generator).div_(Math.Sqrt(n)).to(matrix.device);
    }

    /// <summary>The required rank of the inverse.</summary>
    /// <param name="Trace">tr M.</param>
    /// <param name="Size">n.</param>
    /// <param name="Delta">δ.</param>
    /// <param name="Tolerance">τ.</param>
    private readonly record struct Criterion(double Trace, long Size, double Delta, double Tolerance)
    {
        public long MaxRank => Size / RankShare;

        /// <summary>ρ, the mean of all but the r largest eigenvalues.</summary>
        public double Rest(Tensor values, int r) =>
            Math.Max(0, (Trace - values.narrow(0, 0, r).sum(ScalarType.Float64).ToDouble()) / (Size - r));

        /// <summary>The smallest r ≥ 1 within the tolerance; all directions if there is none.</summary>
        public int Rank(Tensor values)
        {
            var t = values.Elements<double>();
            double rest = Trace;
            for (int r = 1; r < t.Length; r++)
            {
                rest -= t[r - 1];
                double rho = Math.Max(0, rest / (Size - r));
                if (Math.Max(t[r] - rho, rho) <= Tolerance * (rho + Delta))
                    return r;
            }
            return t.Length;
        }

        /// <summary>How many of k directions are accurate: the last ones are the least accurate.</summary>
        public static long Trusted(long k) => k - Math.Max(GuardDirections, k / 8);

        /// <summary>Predicts whether the tolerance is missed at the maximum rank, by extrapolating the decay between a quarter and half of
        /// the directions. Spectra decay between an exponential and a power of the index; the prediction takes the mean of both
        /// logarithms.</summary>
        public bool TakesTooMany(Tensor values)
        {
            var t = values.Elements<double>();
            int half = t.Length / 2,
                quarter = t.Length / 4;
            if (quarter < 1 || half >= MaxRank || !(t[half - 1] > 0))
                return false;
            double rate = Math.Log(t[quarter - 1] / t[half - 1]),
                rest = Trace - t.Take(half).Sum(),
                next = t[half - 1];
            for (long r = half + 1; r <= MaxRank + 1; r++)
            {
                double falls = ((r - half) / (double)(half - quarter) + Math.Log(r / (double)half) / Math.Log(half / (double)quarter)) / 2;
                next = t[half - 1] * Math.Exp(-rate * falls);
                if (r <= MaxRank)
                    rest -= next;
            }
            double rho = rest / (Size - MaxRank);
            return rest > 0 && Math.Max(next - rho, rho) > Tolerance * (rho + Delta); // ≤ 0: the trace is exhausted before
        }
    }

    /// <summary>The nonzero directions of P', normalised: [n, k].</summary>
    private static Tensor Directions(Tensor near)
    {
        var lengths = near.square().sum(1).sqrt_();
        var some = lengths.gt(0).nonzero().squeeze(1);
        return near.index_select(0, some).div_(lengths.index_select(0, some).unsqueeze(1)).t();
    }

    /// <summary>U : [n, k] and t : [k], descending. Null if Ω' Y is not positive definite.</summary>
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
