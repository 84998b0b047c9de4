namespace Amari;

/// <summary>How the damped least-squares problem of n residuals and d parameters, (J'J + λ D²) v = -J'r, is solved.</summary>
public enum LeastSquaresSolver
{
    /// <summary>Gram if n &lt; d, else Normal, if the matrices fit into <c>MaxDenseBytes</c>: 3n² numbers for Gram, and 2nd more with a
    /// scaling D; 3d² for Normal, and what the linearization needs to make J'J. Otherwise, or if Gram does not fit, the next: Normal, then
    /// ConjugateGradient. Several ranks do not use Gram.</summary>
    Automatic,

    /// <summary>The matrix J'J : [d, d] and Cholesky.</summary>
    Normal,

    /// <summary>The matrix J D⁻² J' : [n, n] and Cholesky: v = -D⁻² J' (J D⁻² J' + λ)⁻¹ r. One process only.</summary>
    Gram,

    /// <summary>QR of J, then of [R; √λ D]: the condition of J and not its square; two to four times the time of Normal. One process
    /// only.</summary>
    Qr,

    /// <summary>Products with J and J' only, preconditioned by diag(J'J) + λ D².</summary>
    ConjugateGradient,
}
