using System.Runtime.Intrinsics;

namespace Amari.Kernels;

/// <summary>16 numbers.</summary>
internal readonly unsafe partial struct Lanes512(Vector512<float> value) : ILanes<Lanes512>
{
    private readonly Vector512<float> _value = value;

    public static int Width => Vector512<float>.Count;

    public static Lanes512 Load(float* from) => new(Vector512.Load(from));

    public static void Store(Lanes512 value, float* to) => value._value.Store(to);

    public static Lanes512 Load(ushort* from) =>
        new(Vector512.ShiftLeft(Vector512.WidenLower(Vector256.Load(from).ToVector512Unsafe()), 16).AsSingle());

    public static void Store(Lanes512 value, ushort* to)
    {
        var bits = value._value.AsUInt32();
        var rounded = bits + Vector512.Create(0x7FFFu) + (Vector512.ShiftRightLogical(bits, 16) & Vector512<uint>.One);
        bits = Vector512.ConditionalSelect(Vector512.IsNaN(value._value).AsUInt32(), Vector512.Create(0x7FC00000u), rounded);
        bits = Vector512.ShiftRightLogical(bits, 16);
        Vector256.Narrow(bits.GetLower(), bits.GetUpper()).Store(to);
    }

    public static implicit operator Lanes512(float value) => new(Vector512.Create(value));

    public static Lanes512 operator +(Lanes512 a, Lanes512 b) => new(a._value + b._value);

    public static Lanes512 operator -(Lanes512 a, Lanes512 b) => new(a._value - b._value);

    public static Lanes512 operator *(Lanes512 a, Lanes512 b) => new(a._value * b._value);

    public static Lanes512 operator /(Lanes512 a, Lanes512 b) => new(a._value / b._value);

    public static Lanes512 Sqrt(Lanes512 a) => new(Vector512.Sqrt(a._value));

    public static Lanes512 Max(Lanes512 a, Lanes512 b) => new(Vector512.Max(a._value, b._value));

    public static Lanes512 Fma(Lanes512 a, Lanes512 b, Lanes512 c) => new(Vector512.FusedMultiplyAdd(a._value, b._value, c._value));

    public static Lanes512 Sign(Lanes512 a)
    {
        var signed = (a._value & Vector512.Create(-0f)) | Vector512<float>.One;
        return new(Vector512.GreaterThan(Vector512.Abs(a._value), default) & signed);
    }

    public static Lanes512 Within(Lanes512 a, Lanes512 bound, ref Lanes512 beyond)
    {
        // by a mask register
        var kept = Vector512.ConditionalSelect(Vector512.LessThanOrEqual(Vector512.Abs(a._value), bound._value), a._value, default);
        beyond = new(beyond._value | (a._value ^ kept));
        return new(kept);
    }

    public static bool HasBits(Lanes512 a) => !Vector512.EqualsAll(a._value.AsUInt32(), default);
}
