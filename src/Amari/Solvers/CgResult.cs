using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>The result of conjugate gradient.</summary>
/// <param name="Solution">x, shaped as b; the caller owns it.</param>
/// <param name="Status">Why it stopped. For several columns, the worst status.</param>
/// <param name="Iterations">Number of products with C, without the one for a nonzero start.</param>
/// <param name="RelativeResidual">|b - C x| / |b|, from the recurrence. For several columns, the largest.</param>
public sealed record CgResult(Tensor Solution, CgStatus Status, int Iterations, double RelativeResidual);
