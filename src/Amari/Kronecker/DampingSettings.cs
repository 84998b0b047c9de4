namespace Amari.Kronecker;

/// <summary>How a block's curvature is damped.</summary>
/// <param name="Damping">λ > 0, in units of <paramref name="Scale"/>.</param>
/// <param name="Method">How λ enters the inverse.</param>
/// <param name="Scale">What λ is measured in.</param>
/// <param name="Min">The least λ in the unit of the Fisher; null for that of the factors' dtype.</param>
internal readonly record struct DampingSettings(
    double Damping,
    DampingMethod Method = DampingMethod.FactoredTikhonov,
    DampingScale Scale = DampingScale.Absolute,
    double? Min = null
)
{
    private const double LeastPlaces = 8; // of damping, in units of the last place of 1

    /// <summary>λ in the unit of the Fisher.</summary>
    /// <param name="meanEigenvalue">Of the block; asked for only where it is the unit.</param>
    /// <param name="type">The dtype of its factors.</param>
    public double InForce(Func<double> meanEigenvalue, ScalarType type) =>
        Math.Max(Damping * (Scale == DampingScale.MeanEigenvalue ? meanEigenvalue() : 1), Min ?? Least(type));

    /// <summary>The least damping of factors of a dtype.</summary>
    public static double Least(ScalarType type) => LeastPlaces * finfo(type).eps;
}
