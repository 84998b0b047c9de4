using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>The progress of Lanczos.</summary>
/// <param name="Products">Products so far.</param>
/// <param name="Converged">Pairs converged at the last restart.</param>
/// <param name="Requested">Pairs requested.</param>
public readonly record struct LanczosProgress(int Products, int Converged, int Requested);
