namespace Amari.Kernels;

/// <summary>A few float32 numbers that are computed side by side: a kernel's body is written once for every register width.</summary>
/// <remarks>All implementations give the same bits: each operation is rounded once as IEEE 754 says, and the order is the body's.</remarks>
internal unsafe interface ILanes<TSelf>
    where TSelf : struct, ILanes<TSelf>
{
    /// <summary>How many numbers.</summary>
    static abstract int Width { get; }

    static abstract TSelf Load(float* from);
    static abstract void Store(TSelf value, float* to);

    /// <summary>Widens bfloat16 numbers, exactly.</summary>
    static abstract TSelf Load(ushort* from);

    /// <summary>Rounds to bfloat16, to nearest, ties to even; NaN stays NaN.</summary>
    static abstract void Store(TSelf value, ushort* to);

    /// <summary>Rounds to bfloat16 stochastically, by random bits that are a hash of the place (that of the first lane is given) and the
    /// salt; NaN stays NaN.</summary>
    static abstract void Store(TSelf value, ushort* to, uint place, uint salt);

    /// <summary>The same number in every lane.</summary>
    static abstract implicit operator TSelf(float value);

    static abstract TSelf operator +(TSelf a, TSelf b);

    static abstract TSelf operator -(TSelf a, TSelf b);

    static abstract TSelf operator *(TSelf a, TSelf b);

    static abstract TSelf operator /(TSelf a, TSelf b);

    static abstract TSelf Sqrt(TSelf a);

    /// <summary>The larger of two numbers.</summary>
    static abstract TSelf Max(TSelf a, TSelf b);

    /// <summary>a b + c, rounded once.</summary>
    static abstract TSelf Fma(TSelf a, TSelf b, TSelf c);

    /// <summary>-1, 0 or 1; 0 for NaN, as torch has it.</summary>
    static abstract TSelf Sign(TSelf a);

    /// <summary>a where |a| ≤ <paramref name="bound"/>; 0 elsewhere, NaN included, with bits set in that lane of
    /// <paramref name="beyond"/>.</summary>
    static abstract TSelf Within(TSelf a, TSelf bound, ref TSelf beyond);

    /// <summary>Whether any bit is set in any lane.</summary>
    static abstract bool HasBits(TSelf a);
}
