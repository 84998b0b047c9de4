namespace Amari;

/// <summary>What preconditions the conjugate gradient of <see cref="HessianFree"/>.</summary>
public enum HessianFreePreconditioner
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>(diag + λ)^ξ (Martens 2010, §4.7), with the diagonal of the Fisher estimated from drawn targets, one gradient a
    /// draw.</summary>
    Diagonal,

    /// <summary>The K-FAC inverse, damped by λ in the eigenbasis, its factors measured on the step's own batch from drawn
    /// targets.</summary>
    Kfac,
}
