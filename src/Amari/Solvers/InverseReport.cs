using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>What an inverse product came to.</summary>
/// <param name="Status">How far it got; of several columns, the worst.</param>
/// <param name="Iterations">Products with the operator; 0 for a factorisation.</param>
/// <param name="RelativeResidual">|b - C x| / |b|; of several columns, the largest. Null where it was not asked for.</param>
public sealed record InverseReport(InverseStatus Status, int Iterations, double? RelativeResidual);
