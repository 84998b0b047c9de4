using Amari.Native;

namespace Amari.Spectrum;

/// <summary>The spectral density at a point.</summary>
/// <param name="Lambda">λ.</param>
/// <param name="Density">Share of eigenvalues per unit of λ, with its standard error over probes.</param>
public readonly record struct DensityPoint(double Lambda, Estimate Density);
