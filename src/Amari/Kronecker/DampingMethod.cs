using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How λ enters the inverse of A ⊗ G.</summary>
public enum DampingMethod
{
    /// <summary>(A + π√λ I) ⊗ (G + √λ/π I) with π = √((tr A / dim A) / (tr G / dim G)), inverted by one of
    /// <see cref="InverseOptions.Factored"/> (Martens and Grosse 2015, §6.3). It is cheaper, and damps more than λ I.</summary>
    FactoredTikhonov,

    /// <summary>A ⊗ G + λ I exactly, in the eigenbasis of A and G. It needs four products per step instead of two.</summary>
    Eigenbasis,

    /// <summary>As <see cref="Eigenbasis"/>, but with the eigenvalues replaced by the second moments of the gradients in that basis: EKFAC
    /// (George et al. 2018, arXiv:1806.03884). Among all matrices with this basis, it is the closest to the Fisher in the Frobenius norm.
    /// Each measurement takes two more products per layer. In layers with a factor of size 768 or more, a basis stays in use over several
    /// refreshes, until 30 % of the factors' weight is of later batches.</summary>
    Ekfac,
}
