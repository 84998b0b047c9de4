namespace Amari.Kernels;

/// <summary>What <see cref="SmallState"/> computes with besides arithmetic.</summary>
internal unsafe interface IStateLanes<TSelf> : ILanes<TSelf>
    where TSelf : struct, IStateLanes<TSelf>
{
    /// <summary>A Weyl sequence over the places, that of the first lane given, shifted by the salt.</summary>
    static abstract TSelf Places(uint place, uint salt);

    /// <summary>The same, all lanes further on.</summary>
    static abstract TSelf Next(TSelf places);

    /// <summary>32 bits for each of <see cref="Places"/>; the upper ones look random.</summary>
    static abstract TSelf Hash(TSelf places);

    /// <summary>Random bits as numbers from 1 (inclusive) to 2 (exclusive).</summary>
    static abstract TSelf FromOneToTwo(TSelf random);

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

    /// <summary>x + 1 where a &lt; b, x elsewhere.</summary>
    static abstract TSelf PlusOneWhereLess(TSelf x, TSelf a, TSelf b);

    /// <summary>|b| where it is larger than <paramref name="a"/> ≥ 0 or NaN, a elsewhere.</summary>
    static abstract TSelf LargerMagnitude(TSelf a, TSelf b);

    /// <summary>The largest of all lanes, each ≥ 0; NaN, if there is one.</summary>
    static abstract float Largest(TSelf a);
}
