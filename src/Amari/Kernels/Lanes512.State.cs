using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Amari.Kernels;

internal readonly unsafe partial struct Lanes512 : IStateLanes<Lanes512>
{
    private const uint Step = Lanes1.Step;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Places(uint place, uint salt) =>
        new((Vector512<uint>.Indices * Step + Vector512.Create(place * Step + salt)).AsSingle());

    public static Lanes512 Next(Lanes512 places) =>
        new((places._value.AsUInt32() + Vector512.Create(unchecked(Step * (uint)Width))).AsSingle());

    // One round of xor, shift and multiplication.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes512 Hash(Lanes512 places)
    {
        var x = places._value.AsUInt32();
        return new(((x ^ Vector512.ShiftRightLogical(x, 15)) * Lanes1.Factor).AsSingle());
    }

    // As the mantissa.
    public static Lanes512 FromOneToTwo(Lanes512 random) =>
        new((Vector512.ShiftRightLogical(random._value.AsUInt32(), 9) | Vector512.Create(0x3F800000u)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes512 value, ushort* to, uint place, uint salt)
    {
        // A NaN of the processor has its upper mantissa bit set, which nothing is added to here.
        var bits = value._value.AsUInt32();
        var moved = bits + Vector512.ShiftRightLogical(Hash(Places(place, salt))._value.AsUInt32(), 16);
        bits = Vector512.ShiftRightLogical(Vector512.ConditionalSelect(Vector512.IsNaN(value._value).AsUInt32(), bits, moved), 16);
        Avx512F.ConvertToVector256UInt16(bits).Store(to);
    }

    public static Lanes512 Levels(byte* from, uint mask) =>
        new(Vector512.ConvertToSingle((Widen(from) & Vector512.Create(mask)).AsInt32()));

    public static Lanes512 WithSigns(Lanes512 magnitudes, byte* from) =>
        new((magnitudes._value.AsUInt32() | Vector512.ShiftLeft(Widen(from) & Vector512.Create(128u), 24)).AsSingle());

    public static void StoreCodes(Lanes512 levels, byte* to) => Narrow(Vector512.ConvertToInt32Native(levels._value).AsUInt32(), to);

    public static void StoreCodes(Lanes512 levels, Lanes512 signs, byte* to) =>
        Narrow(
            Vector512.ConvertToInt32Native(levels._value).AsUInt32()
                | (Vector512.ShiftRightLogical(signs._value.AsUInt32(), 24) & Vector512.Create(128u)),
            to
        );

    public static Lanes512 Abs(Lanes512 a) => new(Vector512.Abs(a._value));

    public static Lanes512 Floor(Lanes512 a) => new(Vector512.Floor(a._value));

    public static Lanes512 Larger(Lanes512 a, Lanes512 b) => new(Vector512.MaxNative(a._value, b._value));

    public static Lanes512 FourthRoot(Lanes512 a) => new(Avx512F.ReciprocalSqrt14(Avx512F.ReciprocalSqrt14(a._value)));

    public static Lanes512 OneWhereLess(Lanes512 a, Lanes512 b) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(a._value, b._value), Vector512<float>.One, default));

    public static Lanes512 PlusOneWhereLess(Lanes512 x, Lanes512 a, Lanes512 b) =>
        new(Vector512.ConditionalSelect(Vector512.LessThan(a._value, b._value), x._value + Vector512<float>.One, x._value));

    // As integers: NaN is beyond infinity.
    public static Lanes512 LargerMagnitude(Lanes512 a, Lanes512 b) =>
        new(Vector512.Max(a._value.AsInt32(), b._value.AsInt32() & Vector512.Create(0x7FFFFFFF)).AsSingle());

    public static float Largest(Lanes512 a) =>
        Lanes256.Largest(new(Vector256.Max(a._value.GetLower().AsInt32(), a._value.GetUpper().AsInt32()).AsSingle()));

    private static Vector512<uint> Widen(byte* from) => Avx512F.ConvertToVector512UInt32(Vector128.Load(from));

    private static void Narrow(Vector512<uint> codes, byte* to)
    {
        Avx512F.ConvertToVector128Byte(codes).Store(to);
    }
}
