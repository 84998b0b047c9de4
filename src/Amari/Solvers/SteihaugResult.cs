using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>The result of truncated conjugate gradient.</summary>
/// <param name="Step">p : [d], |p| ≤ Δ up to rounding. The caller owns it.</param>
/// <param name="Status">Why it stopped.</param>
/// <param name="Iterations">Number of products with H.</param>
/// <param name="PredictedReduction">-(g'p + ½ p'Hp), ≥ 0.</param>
/// <param name="RelativeResidual">|g + H p| / |g|, from the recurrence.</param>
public sealed record SteihaugResult(Tensor Step, SteihaugStatus Status, int Iterations, double PredictedReduction, double RelativeResidual);
