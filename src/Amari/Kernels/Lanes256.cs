using System.Runtime.Intrinsics;

namespace Amari.Kernels;

/// <summary>8 numbers.</summary>
internal readonly unsafe partial struct Lanes256(Vector256<float> value) : ILanes<Lanes256>
{
    private readonly Vector256<float> _value = value;

    public static int Width => Vector256<float>.Count;

    public static Lanes256 Load(float* from) => new(Vector256.Load(from));

    public static void Store(Lanes256 value, float* to) => value._value.Store(to);

    public static Lanes256 Load(ushort* from) =>
        new(Vector256.ShiftLeft(Vector256.WidenLower(Vector128.Load(from).ToVector256Unsafe()), 16).AsSingle());

    public static void Store(Lanes256 value, ushort* to)
    {
        var bits = value._value.AsUInt32();
        var rounded = bits + Vector256.Create(0x7FFFu) + (Vector256.ShiftRightLogical(bits, 16) & Vector256<uint>.One);
        bits = Vector256.ConditionalSelect(Vector256.IsNaN(value._value).AsUInt32(), Vector256.Create(0x7FC00000u), rounded);
        bits = Vector256.ShiftRightLogical(bits, 16);
        Vector128.Narrow(bits.GetLower(), bits.GetUpper()).Store(to);
    }

    public static implicit operator Lanes256(float value) => new(Vector256.Create(value));

    public static Lanes256 operator +(Lanes256 a, Lanes256 b) => new(a._value + b._value);

    public static Lanes256 operator -(Lanes256 a, Lanes256 b) => new(a._value - b._value);

    public static Lanes256 operator *(Lanes256 a, Lanes256 b) => new(a._value * b._value);

    public static Lanes256 operator /(Lanes256 a, Lanes256 b) => new(a._value / b._value);

    public static Lanes256 Sqrt(Lanes256 a) => new(Vector256.Sqrt(a._value));

    public static Lanes256 Max(Lanes256 a, Lanes256 b) => new(Vector256.Max(a._value, b._value));

    public static Lanes256 Fma(Lanes256 a, Lanes256 b, Lanes256 c) => new(Vector256.FusedMultiplyAdd(a._value, b._value, c._value));

    public static Lanes256 Sign(Lanes256 a)
    {
        var signed = (a._value & Vector256.Create(-0f)) | Vector256<float>.One;
        return new(Vector256.GreaterThan(Vector256.Abs(a._value), default) & signed);
    }

    public static Lanes256 Within(Lanes256 a, Lanes256 bound, ref Lanes256 beyond)
    {
        var within = Vector256.LessThanOrEqual(Vector256.Abs(a._value), bound._value);
        beyond = new(beyond._value | ~within);
        return new(a._value & within);
    }

    public static bool HasBits(Lanes256 a) => !Vector256.EqualsAll(a._value.AsUInt32(), default);
}
