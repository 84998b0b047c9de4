using Amari.Solvers;

namespace Amari;

/// <summary>How (F + λ I) x = g is solved.</summary>
public enum FisherSolver
{
    /// <summary>Gram if examples x outputs are fewer than the parameters and the matrix fits in memory. Otherwise Dense if d is at most
    /// <see cref="NaturalGradient.Options.MaxIterations"/>, where it needs no more products. Otherwise conjugate gradient.</summary>
    Automatic,

    /// <summary>The matrix F from d products, and Cholesky.</summary>
    Dense,

    /// <summary>Fisher-vector products only.</summary>
    ConjugateGradient,

    /// <summary>The Gram matrix A A' of F = A'A: (F + λ)⁻¹ g = (g - A'(A A' + λ)⁻¹ A g) / λ. Examples must be independent of each other (no
    /// batch normalisation).</summary>
    Gram,
}
