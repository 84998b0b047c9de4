using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>Why <see cref="Lanczos"/> stopped.</summary>
public enum LanczosStatus
{
    /// <summary>Every requested pair has a residual below the tolerance.</summary>
    Converged,

    /// <summary>The product limit was reached: more products, a larger basis or a larger tolerance may help.</summary>
    ProductLimit,

    /// <summary>It was interrupted.</summary>
    Interrupted,

    /// <summary>A product was infinite or NaN; there are no pairs.</summary>
    NotFinite,
}
