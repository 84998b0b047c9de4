namespace Amari.Kronecker;

/// <summary>How inverses are made and kept.</summary>
/// <param name="Method">How damped factors are inverted.</param>
/// <param name="RankTolerance">τ > 0 of <see cref="InverseMethod.Nystrom"/>.</param>
/// <param name="Precision">What inverses of <see cref="DampingMethod.FactoredTikhonov"/> are kept in.</param>
/// <param name="Work">Which of the ranks that hold an inverse compute it.</param>
internal readonly record struct InverseSettings(
    InverseMethod Method,
    double RankTolerance,
    MatmulPrecision Precision = MatmulPrecision.Full,
    InverseWork Work = InverseWork.Broadcast
);
