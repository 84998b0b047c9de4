namespace Amari;

/// <summary>The preconditioner of the conjugate gradient in <see cref="HessianFree"/>.</summary>
public enum HessianFreePreconditioner
{
    /// <summary>No preconditioner.</summary>
    None,

    /// <summary>(diag + λ)^ξ (Martens 2010, §4.7), with the diagonal of the Fisher estimated from drawn targets, one gradient a
    /// draw.</summary>
    Diagonal,

    /// <summary>The inverse of K-FAC, damped by λ in the eigenbasis. Its factors are measured on the batch of the step, with drawn
    /// targets.</summary>
    Kfac,
}
