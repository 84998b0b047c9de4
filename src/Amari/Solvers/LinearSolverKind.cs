namespace Amari;

/// <summary>How the damped linear system of a step was solved: see <see cref="LinearSolver"/>.</summary>
public enum LinearSolverKind
{
    /// <summary>The matrix J'J : [d, d] and Cholesky.</summary>
    Normal,

    /// <summary>The matrix J J' : [n, n] and Cholesky.</summary>
    Gram,

    /// <summary>QR of J.</summary>
    Qr,

    /// <summary>Products with J and J' only.</summary>
    ConjugateGradient,
}
