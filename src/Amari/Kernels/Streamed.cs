using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Amari.Kernels;

/// <summary>The same numbers, read from memory that no cache holds: a load also asks for what lies 1 kB further on.</summary>
/// <remarks>A kernel's arithmetic leaves the processor too few loads ahead of it to stream at the speed of memory. Where a cache holds the
/// data, asking costs more than it saves. Beyond a tensor's end nothing is touched by asking.</remarks>
internal readonly unsafe struct Streamed<L>(L value) : ILanes<Streamed<L>>
    where L : struct, ILanes<L>
{
    private const int Ahead = 1024; // bytes

    private readonly L _value = value;

    public static int Width => L.Width;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Streamed<L> Load(float* from)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0((byte*)from + Ahead);
        return new(L.Load(from));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Streamed<L> Load(ushort* from)
    {
        if (Sse.IsSupported)
            Sse.Prefetch0((byte*)from + Ahead);
        return new(L.Load(from));
    }

    public static void Store(Streamed<L> value, float* to) => L.Store(value._value, to);

    public static void Store(Streamed<L> value, ushort* to) => L.Store(value._value, to);

    public static void Store(Streamed<L> value, ushort* to, uint place, uint salt) => L.Store(value._value, to, place, salt);

    public static implicit operator Streamed<L>(float value) => new(value);

    public static Streamed<L> operator +(Streamed<L> a, Streamed<L> b) => new(a._value + b._value);

    public static Streamed<L> operator -(Streamed<L> a, Streamed<L> b) => new(a._value - b._value);

    public static Streamed<L> operator *(Streamed<L> a, Streamed<L> b) => new(a._value * b._value);

    public static Streamed<L> operator /(Streamed<L> a, Streamed<L> b) => new(a._value / b._value);

    public static Streamed<L> Sqrt(Streamed<L> a) => new(L.Sqrt(a._value));

    public static Streamed<L> Max(Streamed<L> a, Streamed<L> b) => new(L.Max(a._value, b._value));

    public static Streamed<L> Fma(Streamed<L> a, Streamed<L> b, Streamed<L> c) => new(L.Fma(a._value, b._value, c._value));

    public static Streamed<L> Sign(Streamed<L> a) => new(L.Sign(a._value));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Streamed<L> Within(Streamed<L> a, Streamed<L> bound, ref Streamed<L> beyond)
    {
        L bits = beyond._value,
            within = L.Within(a._value, bound._value, ref bits);
        beyond = new(bits);
        return new(within);
    }

    public static bool HasBits(Streamed<L> a) => L.HasBits(a._value);
}
