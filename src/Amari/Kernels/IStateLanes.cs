namespace Amari.Kernels;

/// <summary>What <see cref="SmallState"/> computes with besides arithmetic.</summary>
internal unsafe interface IStateLanes<TSelf> : ILanes<TSelf>
    where TSelf : struct, IStateLanes<TSelf>
{
    /// <summary>32 bits for each lane, a hash of the place (that of the first lane is given) and the salt; the upper ones look
    /// random.</summary>
    static abstract TSelf Random(uint place, uint salt);

    /// <summary>Random bits as numbers from 0 (inclusive) to 1 (exclusive).</summary>
    static abstract TSelf Uniform(TSelf random);

    /// <summary>Rounds to bfloat16 stochastically, by the upper 16 random bits; NaN stays NaN.</summary>
    static abstract void StoreStochastic(TSelf value, TSelf random, ushort* to);

    /// <summary>Bytes, as far as <paramref name="mask"/> has them, as numbers.</summary>
    static abstract TSelf Levels(byte* from, uint mask);

    /// <summary>Numbers ≥ 0 with the signs that are the upper bits of bytes.</summary>
    static abstract TSelf WithSigns(TSelf magnitudes, byte* from);

    /// <summary>Stores whole numbers from 0 to 255 as bytes.</summary>
    static abstract void StoreCodes(TSelf levels, byte* to);

    /// <summary>Stores whole numbers from 0 to 127 as bytes whose upper bits are the signs of others.</summary>
    static abstract void StoreCodes(TSelf levels, TSelf signs, byte* to);

    static abstract TSelf Abs(TSelf a);

    static abstract TSelf Floor(TSelf a);

    /// <summary>The larger of two finite numbers.</summary>
    static abstract TSelf Larger(TSelf a, TSelf b);

    /// <summary>The fourth root of a number ≥ 0, with a relative error of at most 2^-10.5; it depends on the processor.</summary>
    static abstract TSelf FourthRoot(TSelf a);

    /// <summary>1 where a &lt; b, 0 elsewhere.</summary>
    static abstract TSelf OneWhereLess(TSelf a, TSelf b);

    /// <summary>|b| where it is larger than <paramref name="a"/> ≥ 0 or NaN, a elsewhere.</summary>
    static abstract TSelf LargerMagnitude(TSelf a, TSelf b);

    /// <summary>The largest of all lanes, each ≥ 0; NaN, if there is one.</summary>
    static abstract float Largest(TSelf a);
}
