using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How the damped factors of <see cref="DampingMethod.FactoredTikhonov"/> are inverted.</summary>
public enum InverseMethod
{
    /// <summary>By Cholesky.</summary>
    Cholesky,

    /// <summary>By Newton-Schulz iteration from the last inverse, products alone; by Cholesky where there is none, and, reported, where it
    /// is too far: when factors or damping changed much since the last refresh.</summary>
    NewtonSchulz,

    /// <summary>For each size of factors the one of the two that takes less time here, measured at the second, fourth, eighth, ... refresh;
    /// below a size of 128 Cholesky. By the clock, so that runs are not repeatable to the last bit; a resumed run goes on with what was
    /// chosen, and ranks choose together. Events say which.</summary>
    Auto,

    /// <summary>Of factors of size 128 and more the largest eigenvalues alone, as many as
    /// <see cref="InverseOptions.Nystrom.RankTolerance"/> asks for, the rest by their mean (randomized Nyström approximation; Frangella,
    /// Tropp and Udell 2023): what lies below the damping hardly differs from it. Refresh and step cost by the rank. By Cholesky where over
    /// a quarter of the eigenvalues would be needed, in layers of groups, and while <see cref="RefreshOptions.Warmup"/> refreshes at every
    /// step. Events give the ranks.</summary>
    Nystrom,
}
