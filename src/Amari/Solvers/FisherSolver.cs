using Amari.Solvers;

namespace Amari;

/// <summary>How (F + λ I) x = g is solved.</summary>
public enum FisherSolver
{
    /// <summary>Gram if examples x outputs are fewer than parameters and it fits in memory; else dense if d is at most
    /// <see cref="NaturalGradient.Options.MaxIterations"/>, for then it takes no more products; else conjugate gradient.</summary>
    Automatic,

    /// <summary>The matrix F by d products, and Cholesky.</summary>
    Dense,

    /// <summary>Fisher-vector products alone.</summary>
    ConjugateGradient,

    /// <summary>Through the Gram matrix A A' of F = A'A : (F + λ)⁻¹ g = (g - A'(A A' + λ)⁻¹ A g) / λ. Examples must not depend on one
    /// another.</summary>
    Gram,
}
