using Amari.Kernels;

namespace Amari.Solvers;

/// <summary>How a factorisation succeeded, if it did.</summary>
internal enum FactorisationOutcome
{
    /// <summary>On the first attempt.</summary>
    Clean,

    /// <summary>After adding jitter to the diagonal.</summary>
    Jittered,

    /// <summary>After adding jitter to the diagonal, in float64.</summary>
    DoublePrecision,

    /// <summary>It failed: the matrix is not finite, or not positive definite up to rounding.</summary>
    Failed,
}

/// <summary>Factorisations of symmetric positive (semi)definite matrices [.., n, n] that do not throw. A failure is retried with jitter,
/// then in float64, and is reported as a value.</summary>
internal static class SpdInverse
{
    private const double Jitter = 1e-6; // relative to the mean diagonal entry

    /// <summary>(M + s I)⁻¹ by <see cref="SpdSweep"/>, where that can be; null otherwise. The caller owns it.</summary>
    /// <param name="matrix">M.</param>
    /// <param name="shift">s : [1].</param>
    public static Tensor? Swept(Tensor matrix, Tensor shift) =>
        SpdSweep.IsUsable(matrix) ? SpdSweep.Inverse(matrix, shift.ToSingle()) : null;

    /// <summary>M⁻¹ by Cholesky; null if <see cref="FactorisationOutcome.Failed"/>. The caller owns it.</summary>
    public static (Tensor? Inverse, FactorisationOutcome Outcome) Cholesky(Tensor matrix) =>
        Retry(
            matrix,
            m =>
            {
                m = m.contiguous();
                if (SpdSweep.IsUsable(m))
                    return SpdSweep.Inverse(m) is { } inverse ? [inverse] : null;
                var (l, info) = linalg.cholesky_ex(m);
                return info.eq(0).all().ToBoolean() ? [l.cholesky_inverse()] : null;
            }
        ) switch
        {
            ([var inverse], var outcome) => (inverse, outcome),
            (_, var outcome) => (null, outcome),
        };

    /// <summary>M = Q diag(d) Q' with d ascending and ≥ 0; null if <see cref="FactorisationOutcome.Failed"/>. The caller owns
    /// both.</summary>
    public static ((Tensor Vectors, Tensor Values)? Eigen, FactorisationOutcome Outcome) Eigh(Tensor matrix) =>
        Retry(
            matrix,
            m =>
            {
                try
                {
                    var (values, vectors) = linalg.eigh(m);
                    return [vectors, values.clamp_min_(0)];
                }
                catch (System.Runtime.InteropServices.ExternalException) // LAPACK did not converge
                {
                    return null;
                }
            }
        ) switch
        {
            ([var vectors, var values], var outcome) => ((vectors, values), outcome),
            (_, var outcome) => (null, outcome),
        };

    /// <summary>The factorisation of M, or of M with jitter, or of that in float64. Null if each attempt returns null or is not
    /// finite.</summary>
    internal static (Tensor[]? Result, FactorisationOutcome Outcome) Retry(Tensor matrix, Func<Tensor, Tensor[]?> factorise)
    {
        using var scope = NewDisposeScope();
        var type = matrix.dtype;
        // libtorch decomposes no shorter numbers
        if (type is ScalarType.BFloat16 or ScalarType.Float16)
            matrix = matrix.to_type(ScalarType.Float32);
        var diagonal = matrix.diagonal(0, -2, -1);
        if (!diagonal.isfinite().all().ToBoolean())
            return (null, FactorisationOutcome.Failed);
        foreach (
            var outcome in (ReadOnlySpan<FactorisationOutcome>)
                [FactorisationOutcome.Clean, FactorisationOutcome.Jittered, FactorisationOutcome.DoublePrecision]
        )
        {
            var m = outcome == FactorisationOutcome.DoublePrecision ? matrix.to_type(ScalarType.Float64) : matrix;
            if (outcome != FactorisationOutcome.Clean)
            {
                var jitter = m.diagonal(0, -2, -1).abs().mean([-1], keepdim: true).mul_(Jitter);
                m = m.clone();
                m.diagonal(0, -2, -1).add_(jitter);
            }
            if (factorise(m) is { } result && Array.TrueForAll(result, r => double.IsFinite(r.sum().ToDouble())))
                return (Array.ConvertAll(result, r => r.to_type(type).MoveToOuterDisposeScope()), outcome);
        }
        return (null, FactorisationOutcome.Failed);
    }
}
