using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>What the damping λ is measured in.</summary>
public enum DampingScale
{
    /// <summary>In the unit of the Fisher of one term's log-likelihood.</summary>
    Absolute,

    /// <summary>In the mean eigenvalue of each layer's A ⊗ G, so that the damping follows the Fisher as it grows or vanishes with the loss,
    /// and a rescaled loss changes nothing; at least <see cref="CurvatureOptions.MinDamping"/>.</summary>
    MeanEigenvalue,
}
