using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>What Lanczos tells while it works.</summary>
/// <param name="Products">Done so far.</param>
/// <param name="Converged">Pairs converged at the last restart.</param>
/// <param name="Wanted">Pairs asked for.</param>
public readonly record struct LanczosProgress(int Products, int Converged, int Wanted);
