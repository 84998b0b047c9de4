using System.Runtime.Intrinsics;

namespace Amari.Kernels;

/// <summary>4 numbers.</summary>
internal readonly unsafe struct Lanes128(Vector128<float> value) : ILanes<Lanes128>
{
    private readonly Vector128<float> _value = value;

    public static int Width => Vector128<float>.Count;

    public static Lanes128 Load(float* from) => new(Vector128.Load(from));

    public static void Store(Lanes128 value, float* to) => value._value.Store(to);

    public static Lanes128 Load(ushort* from) =>
        new(Vector128.ShiftLeft(Vector128.WidenLower(Vector128.CreateScalarUnsafe(*(ulong*)from).AsUInt16()), 16).AsSingle());

    public static void Store(Lanes128 value, ushort* to)
    {
        var bits = value._value.AsUInt32();
        var rounded = bits + Vector128.Create(0x7FFFu) + (Vector128.ShiftRightLogical(bits, 16) & Vector128<uint>.One);
        bits = Vector128.ConditionalSelect(Vector128.IsNaN(value._value).AsUInt32(), Vector128.Create(0x7FC00000u), rounded);
        bits = Vector128.ShiftRightLogical(bits, 16);
        *(ulong*)to = Vector128.Narrow(bits, bits).AsUInt64().ToScalar();
    }

    public static void Store(Lanes128 value, ushort* to, uint place, uint salt)
    {
        for (int i = 0; i < Width; i++)
            Lanes1.Store(value._value[i], to + i, place + (uint)i, salt);
    }

    public static implicit operator Lanes128(float value) => new(Vector128.Create(value));

    public static Lanes128 operator +(Lanes128 a, Lanes128 b) => new(a._value + b._value);

    public static Lanes128 operator -(Lanes128 a, Lanes128 b) => new(a._value - b._value);

    public static Lanes128 operator *(Lanes128 a, Lanes128 b) => new(a._value * b._value);

    public static Lanes128 operator /(Lanes128 a, Lanes128 b) => new(a._value / b._value);

    public static Lanes128 Sqrt(Lanes128 a) => new(Vector128.Sqrt(a._value));

    public static Lanes128 Max(Lanes128 a, Lanes128 b) => new(Vector128.Max(a._value, b._value));

    public static Lanes128 Fma(Lanes128 a, Lanes128 b, Lanes128 c) => new(Vector128.FusedMultiplyAdd(a._value, b._value, c._value));

    public static Lanes128 Sign(Lanes128 a)
    {
        var signed = (a._value & Vector128.Create(-0f)) | Vector128<float>.One;
        return new(Vector128.GreaterThan(Vector128.Abs(a._value), default) & signed);
    }

    public static Lanes128 Within(Lanes128 a, Lanes128 bound, ref Lanes128 beyond)
    {
        var within = Vector128.LessThanOrEqual(Vector128.Abs(a._value), bound._value);
        beyond = new(beyond._value | ~within);
        return new(a._value & within);
    }

    public static bool HasBits(Lanes128 a) => !Vector128.EqualsAll(a._value.AsUInt32(), default);
}
