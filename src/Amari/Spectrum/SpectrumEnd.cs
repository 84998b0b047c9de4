using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>Which end of a spectrum.</summary>
public enum SpectrumEnd
{
    /// <summary>The largest eigenvalues, falling.</summary>
    Largest,

    /// <summary>The smallest (most negative) eigenvalues, rising.</summary>
    Smallest,

    /// <summary>As many of the largest as of the smallest, falling.</summary>
    Both,
}
