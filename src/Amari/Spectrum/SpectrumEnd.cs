using Amari.Native;
using Amari.Serialization;

namespace Amari.Spectrum;

/// <summary>Which end of a spectrum.</summary>
public enum SpectrumEnd
{
    /// <summary>The largest eigenvalues, descending.</summary>
    Largest,

    /// <summary>The smallest (most negative) eigenvalues, ascending.</summary>
    Smallest,

    /// <summary>The same number of the largest and of the smallest, descending.</summary>
    Both,
}
