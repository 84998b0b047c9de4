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

    /// <summary>Whether the unit of λ is a block's mean eigenvalue, which costs a read of its factors.</summary>
    public bool IsRelative => Scale == DampingScale.MeanEigenvalue;

    /// <summary>λ in the unit of the Fisher.</summary>
    /// <param name="unit">The mean eigenvalue where that is the unit, else 1.</param>
    /// <param name="type">The dtype of the block's factors.</param>
    public double InForce(double unit, ScalarType type) => Math.Max(Damping * unit, Min ?? Least(type));

    /// <summary>The least damping of factors of a dtype.</summary>
    public static double Least(ScalarType type) => LeastPlaces * finfo(type).eps;
}
