using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>What conjugate gradient came to.</summary>
/// <param name="Solution">x, shaped as b; the caller owns it.</param>
/// <param name="Status">Why it stopped; of several columns, the worst.</param>
/// <param name="Iterations">Products with C, one for a start other than zero not counted.</param>
/// <param name="RelativeResidual">|b - C x| / |b|, by the recurrence; of several columns, the largest.</param>
public sealed record CgResult(Tensor Solution, CgStatus Status, int Iterations, double RelativeResidual);
