using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Amari.Kernels;

internal readonly unsafe partial struct Lanes256 : IStateLanes<Lanes256>
{
    private const uint Step = Lanes1.Step;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Places(uint place, uint salt) =>
        new((Vector256<uint>.Indices * Step + Vector256.Create(place * Step + salt)).AsSingle());

    public static Lanes256 Next(Lanes256 places) =>
        new((places._value.AsUInt32() + Vector256.Create(unchecked(Step * (uint)Width))).AsSingle());

    // One round of xor, shift and multiplication.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes256 Hash(Lanes256 places)
    {
        var x = places._value.AsUInt32();
        return new(((x ^ Vector256.ShiftRightLogical(x, 15)) * Lanes1.Factor).AsSingle());
    }

    // As the mantissa.
    public static Lanes256 FromOneToTwo(Lanes256 random) =>
        new((Vector256.ShiftRightLogical(random._value.AsUInt32(), 9) | Vector256.Create(0x3F800000u)).AsSingle());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Lanes256 value, ushort* to, uint place, uint salt)
    {
        // A NaN of the processor has its upper mantissa bit set, which nothing is added to here.
        var bits = value._value.AsUInt32();
        var moved = bits + Vector256.ShiftRightLogical(Hash(Places(place, salt))._value.AsUInt32(), 16);
        bits = Vector256.ShiftRightLogical(Vector256.ConditionalSelect(Vector256.IsNaN(value._value).AsUInt32(), bits, moved), 16);
        Vector128.Narrow(bits.GetLower(), bits.GetUpper()).Store(to);
    }

    public static Lanes256 Levels(byte* from, uint mask) =>
        new(Vector256.ConvertToSingle((Widen(from) & Vector256.Create(mask)).AsInt32()));

    public static Lanes256 WithSigns(Lanes256 magnitudes, byte* from) =>
        new((magnitudes._value.AsUInt32() | Vector256.ShiftLeft(Widen(from) & Vector256.Create(128u), 24)).AsSingle());

    public static void StoreCodes(Lanes256 levels, byte* to) => Narrow(Vector256.ConvertToInt32Native(levels._value).AsUInt32(), to);

    public static void StoreCodes(Lanes256 levels, Lanes256 signs, byte* to) =>
        Narrow(
            Vector256.ConvertToInt32Native(levels._value).AsUInt32()
                | (Vector256.ShiftRightLogical(signs._value.AsUInt32(), 24) & Vector256.Create(128u)),
            to
        );

    public static Lanes256 Abs(Lanes256 a) => new(Vector256.Abs(a._value));

    public static Lanes256 Floor(Lanes256 a) => new(Vector256.Floor(a._value));

    public static Lanes256 Larger(Lanes256 a, Lanes256 b) => new(Vector256.MaxNative(a._value, b._value));

    public static Lanes256 FourthRoot(Lanes256 a) =>
        new(Avx.IsSupported ? Avx.ReciprocalSqrt(Avx.ReciprocalSqrt(a._value)) : Vector256.Sqrt(Vector256.Sqrt(a._value)));

    public static Lanes256 OneWhereLess(Lanes256 a, Lanes256 b) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(a._value, b._value), Vector256<float>.One, default));

    public static Lanes256 PlusOneWhereLess(Lanes256 x, Lanes256 a, Lanes256 b) =>
        new(Vector256.ConditionalSelect(Vector256.LessThan(a._value, b._value), x._value + Vector256<float>.One, x._value));

    // As integers: NaN is beyond infinity.
    public static Lanes256 LargerMagnitude(Lanes256 a, Lanes256 b) =>
        new(Vector256.Max(a._value.AsInt32(), b._value.AsInt32() & Vector256.Create(0x7FFFFFFF)).AsSingle());

    public static float Largest(Lanes256 a)
    {
        var four = Vector128.Max(a._value.GetLower().AsInt32(), a._value.GetUpper().AsInt32());
        var two = Vector128.Max(four, Vector128.Shuffle(four, Vector128.Create(2, 3, 0, 1)));
        return BitConverter.Int32BitsToSingle(Math.Max(two[0], two[1]));
    }

    private static Vector256<uint> Widen(byte* from) =>
        Vector256.WidenLower(Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)from).AsByte()).ToVector256Unsafe());

    private static void Narrow(Vector256<uint> codes, byte* to)
    {
        var narrow = Vector128.Narrow(codes.GetLower(), codes.GetUpper());
        *(ulong*)to = Vector128.Narrow(narrow, narrow).AsUInt64().ToScalar();
    }
}
