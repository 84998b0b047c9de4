using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>The unit of the damping λ.</summary>
public enum DampingScale
{
    /// <summary>The unit of the Fisher of one term's log-likelihood.</summary>
    Absolute,

    /// <summary>The mean eigenvalue of each layer's A ⊗ G. The damping then follows the Fisher as it grows or vanishes with the loss, and
    /// the scale of the loss has no effect. It is at least <see cref="CurvatureOptions.MinDamping"/>.</summary>
    MeanEigenvalue,
}
