namespace Amari.Native;

/// <summary>Seeds for ranks: far apart for neighbouring numbers.</summary>
internal static class HashSeed
{
    /// <summary>A rank's own seed; rank 0 has the one that one process has.</summary>
    public static long OfRank(long seed, int rank) => rank == 0 ? seed : Of(seed, rank);

    /// <summary>A seed made of several numbers (SplitMix64, Steele et al. 2014), ≥ 0.</summary>
    public static long Of(params ReadOnlySpan<long> numbers)
    {
        ulong state = 0;
        foreach (long n in numbers)
        {
            state = unchecked((state ^ (ulong)n) + 0x9E3779B97F4A7C15);
            state = unchecked((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9);
            state = unchecked((state ^ (state >> 27)) * 0x94D049BB133111EB);
            state ^= state >> 31;
        }
        return (long)(state >> 1);
    }
}
