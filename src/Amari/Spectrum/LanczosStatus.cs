using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>How <see cref="Lanczos"/> ended.</summary>
public enum LanczosStatus
{
    /// <summary>Every pair asked for has a residual below the tolerance.</summary>
    Converged,

    /// <summary>The products were used up: more of them, a larger basis or a larger tolerance may help.</summary>
    ProductLimit,

    /// <summary>It was stopped.</summary>
    Interrupted,

    /// <summary>A product was infinite or NaN; there are no pairs.</summary>
    NotFinite,
}
