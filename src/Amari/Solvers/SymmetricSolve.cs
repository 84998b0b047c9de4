using System.Runtime.InteropServices;

namespace Amari.Solvers;

/// <summary>Dense problems with a symmetric matrix [n, n] that need not be positive definite. Failures are retried and reported as in
/// <see cref="SpdInverse"/>.</summary>
internal static class SymmetricSolve
{
    /// <summary>x with M x = b, by Cholesky, or by LU if M is not positive definite. Null if <see cref="FactorisationOutcome.Failed"/> (M
    /// is singular or not finite). The caller owns it.</summary>
    public static (Tensor? Solution, bool PositiveDefinite, FactorisationOutcome Outcome) Solve(Tensor matrix, Tensor b)
    {
        bool definite = false;
        var (solution, outcome) = SpdInverse.Retry(
            matrix,
            m =>
            {
                var right = b.unsqueeze(1).to_type(m.dtype);
                var (l, info) = linalg.cholesky_ex(m);
                definite = info.eq(0).all().ToBoolean();
                if (definite)
                    return [right.cholesky_solve(l).squeeze(1)];
                try
                {
                    return [linalg.solve(m, right).squeeze(1)];
                }
                catch (ExternalException) // exactly singular
                {
                    return null;
                }
            }
        );
        return (solution?[0], definite, outcome);
    }

    /// <summary>M = Q diag(λ) Q', λ ascending and of any sign; null if <see cref="FactorisationOutcome.Failed"/>. The caller owns
    /// both.</summary>
    public static ((Tensor Vectors, Tensor Values)? Eigen, FactorisationOutcome Outcome) Eigh(Tensor matrix)
    {
        var (pair, outcome) = SpdInverse.Retry(
            matrix,
            m =>
            {
                try
                {
                    var (values, vectors) = linalg.eigh(m);
                    return [vectors, values];
                }
                catch (ExternalException) // LAPACK did not converge
                {
                    return null;
                }
            }
        );
        return (pair is [var q, var lambda] ? (q, lambda) : null, outcome);
    }
}
