using Amari.Curvature;

namespace Amari.Verification;

/// <summary>The error of a K-FAC block as an approximation of the Fisher.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="RelativeError">‖A ⊗ G - F‖ / ‖F‖ in the Frobenius norm, F the layer's block of the Fisher of the batch.</param>
/// <param name="Fisher">The kind of Fisher.</param>
public sealed record Approximation(string Layer, double RelativeError, FisherKind Fisher);
