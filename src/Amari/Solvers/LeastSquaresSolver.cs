namespace Amari;

/// <summary>How the damped least-squares problem of n residuals and d parameters, (J'J + λ D²) v = -J'r, is solved.</summary>
public enum LeastSquaresSolver
{
    /// <summary>The first of these whose matrices fit into the limit of memory (<c>MaxDenseBytes</c>): Gram if n &lt; d, then Normal; else
    /// ConjugateGradient. Numbers: Gram 2nd + 3n², or 3n² where J need not be formed (no scaling D); Normal 3d², and nd more to form
    /// J.</summary>
    Automatic,

    /// <summary>The matrix J'J : [d, d] and Cholesky.</summary>
    Normal,

    /// <summary>The matrix J D⁻² J' : [n, n] and Cholesky: v = -D⁻² J' (J D⁻² J' + λ)⁻¹ r.</summary>
    Gram,

    /// <summary>QR of J, then of [R; √λ D]: the condition of J and not its square; two to four times the time of Normal.</summary>
    Qr,

    /// <summary>Products with J and J' only, preconditioned by diag(J'J) + λ D².</summary>
    ConjugateGradient,
}
