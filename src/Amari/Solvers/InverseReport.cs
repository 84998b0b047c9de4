using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>The outcome of a product with an inverse.</summary>
/// <param name="Status">The outcome. For several columns, the worst.</param>
/// <param name="Iterations">Products with the operator; 0 for a factorisation.</param>
/// <param name="RelativeResidual">|b - C x| / |b|. For several columns, the largest. Null if it was not requested.</param>
public sealed record InverseReport(InverseStatus Status, int Iterations, double? RelativeResidual);
