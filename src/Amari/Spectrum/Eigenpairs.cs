using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>Approximate eigenpairs. Owns its vectors.</summary>
/// <param name="Values">θ, in the order of the requested end. Fewer than requested if the run stopped early.</param>
/// <param name="Residuals">‖C x - θ x‖ of each pair, at least the rounding error ε max(8, √d / 8) ‖C‖. An eigenvalue of C lies within it of
/// θ.</param>
/// <param name="Vectors">[d, pairs], of length 1; null if not requested.</param>
/// <param name="Products">Number of products with C.</param>
/// <param name="Status">Why it stopped.</param>
public sealed record Eigenpairs(
    IReadOnlyList<double> Values,
    IReadOnlyList<double> Residuals,
    Tensor? Vectors,
    int Products,
    LanczosStatus Status
) : IDisposable
{
    /// <summary>Whether every requested pair was found within the tolerance.</summary>
    public bool Converged => Status == LanczosStatus.Converged;

    /// <inheritdoc/>
    public void Dispose() => Vectors?.Dispose();
}
