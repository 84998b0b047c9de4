using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How λ enters the inverse of A ⊗ G.</summary>
public enum DampingMethod
{
    /// <summary>(A + π√λ I) ⊗ (G + √λ/π I), inverted by a way of <see cref="InverseOptions.Factored"/>,
    /// π = √((tr A / dim A) / (tr G / dim G)) (Martens and Grosse 2015, §6.3). Cheaper; damps more than λ I alone.</summary>
    FactoredTikhonov,

    /// <summary>A ⊗ G + λ I exactly, in the eigenbasis of A and G. Four products a step instead of two.</summary>
    Eigenbasis,

    /// <summary>As <see cref="Eigenbasis"/>, with the eigenvalues replaced by the second moments of the gradients in that basis: EKFAC
    /// (George et al. 2018, arXiv:1806.03884). Closest to the Fisher in the Frobenius norm among all matrices with this basis. Each
    /// measurement costs two products a layer more.</summary>
    Ekfac,
}
