using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>Approximate eigenpairs. Owns its vectors.</summary>
/// <param name="Values">θ, in the order of the end asked for; fewer than asked for if it was stopped early.</param>
/// <param name="Residuals">‖C x - θ x‖ of each, at least the rounding of the dtype: an eigenvalue of C lies within it of θ.</param>
/// <param name="Vectors">[d, pairs], of length 1; null if not asked for.</param>
/// <param name="Products">How many it took.</param>
/// <param name="Status">How it ended.</param>
public sealed record Eigenpairs(
    IReadOnlyList<double> Values,
    IReadOnlyList<double> Residuals,
    Tensor? Vectors,
    int Products,
    LanczosStatus Status
) : IDisposable
{
    /// <summary>Whether every pair asked for is there, within the tolerance.</summary>
    public bool Converged => Status == LanczosStatus.Converged;

    /// <inheritdoc/>
    public void Dispose() => Vectors?.Dispose();
}
