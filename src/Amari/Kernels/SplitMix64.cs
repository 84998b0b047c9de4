namespace Amari.Kernels;

/// <summary>The random numbers of SplitMix64 (Steele, Lea, Flood 2014) by their place: without a state, so every thread can make
/// its own.</summary>
internal static class SplitMix64
{
    /// <summary>Number <paramref name="place"/> ≥ 0 of the generator with a seed.</summary>
    public static ulong Number(ulong seed, ulong place)
    {
        ulong z = seed + ((place + 1) * 0x9E3779B97F4A7C15);
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
