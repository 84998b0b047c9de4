using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>What the truncated conjugate gradient came to.</summary>
/// <param name="Step">p, [d], |p| ≤ Δ to rounding; the caller owns it.</param>
/// <param name="Status">Why it stopped.</param>
/// <param name="Iterations">Products with H.</param>
/// <param name="PredictedReduction">-(g'p + ½ p'Hp), at least 0.</param>
/// <param name="RelativeResidual">|g + H p| / |g|, by the recurrence.</param>
public sealed record SteihaugResult(Tensor Step, SteihaugStatus Status, int Iterations, double PredictedReduction, double RelativeResidual);
