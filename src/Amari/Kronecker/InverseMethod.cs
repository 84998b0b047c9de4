using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How the damped factors of <see cref="DampingMethod.FactoredTikhonov"/> are inverted.</summary>
public enum InverseMethod
{
    /// <summary>By Cholesky factorisation.</summary>
    Cholesky,

    /// <summary>By a Newton-Schulz iteration from the last inverse, which needs only products. Cholesky is used if there is no last
    /// inverse. It is also used, and reported, if the last inverse is too far away because factors or damping changed much since the last
    /// refresh.</summary>
    NewtonSchulz,

    /// <summary>For each factor size, the faster of the two, measured at the refreshes 2, 4, 8, ...; below a size of 128 Cholesky. The
    /// choice depends on the clock, so runs are not repeatable to the last bit. A resumed run keeps the choice, and all ranks make the
    /// same. Events report it.</summary>
    Auto,

    /// <summary>For factors of size 128 or more, a low-rank approximation (randomized Nyström approximation; Frangella, Tropp and Udell
    /// 2023). It keeps as many of the largest eigenvalues as <see cref="InverseOptions.Nystrom.RankTolerance"/> requires, and replaces the
    /// others by their mean: eigenvalues below the damping hardly differ from it. The cost of a refresh and of a step depends on the rank.
    /// Cholesky is used if more than a quarter of the eigenvalues would be needed, in layers with groups, and while
    /// <see cref="RefreshOptions.Warmup"/> refreshes at every step. Events report the ranks.</summary>
    Nystrom,
}
