using Amari.Curvature;

namespace Amari.Verification;

/// <summary>How far an approximation is from what it approximates.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="RelativeError">‖A ⊗ G - F‖ / ‖F‖ in the Frobenius norm, F the layer's block of the Fisher of the batch.</param>
/// <param name="Fisher">Which Fisher.</param>
public sealed record Approximation(string Layer, double RelativeError, FisherKind Fisher);
