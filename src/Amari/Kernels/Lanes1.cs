namespace Amari.Kernels;

/// <summary>One number: the end of a row.</summary>
internal readonly unsafe struct Lanes1(float value) : ILanes<Lanes1>
{
    /// <summary>What <see cref="Hash"/> multiplies with.</summary>
    public const uint Step = 0xC2B2AE3Du,
        Factor = 0x85EBCA77u;

    private readonly float _value = value;

    public static int Width => 1;

    public static Lanes1 Load(float* from) => new(*from);

    public static void Store(Lanes1 value, float* to) => *to = value._value;

    public static Lanes1 Load(ushort* from) => new(BitConverter.UInt32BitsToSingle((uint)*from << 16));

    public static void Store(Lanes1 value, ushort* to)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value._value);
        *to = float.IsNaN(value._value) ? (ushort)0x7FC0 : (ushort)((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
    }

    public static void Store(Lanes1 value, ushort* to, uint place, uint salt)
    {
        uint bits = BitConverter.SingleToUInt32Bits(value._value);
        *to = (ushort)((float.IsNaN(value._value) ? bits : bits + (Hash(place, salt) >> 16)) >> 16);
    }

    /// <summary>A Weyl sequence over the places, shifted by the salt, and one round of xor, shift and multiplication.</summary>
    public static uint Hash(uint place, uint salt)
    {
        uint x = unchecked((place * Step) + salt);
        return unchecked((x ^ (x >> 15)) * Factor);
    }

    public static implicit operator Lanes1(float value) => new(value);

    public static Lanes1 operator +(Lanes1 a, Lanes1 b) => new(a._value + b._value);

    public static Lanes1 operator -(Lanes1 a, Lanes1 b) => new(a._value - b._value);

    public static Lanes1 operator *(Lanes1 a, Lanes1 b) => new(a._value * b._value);

    public static Lanes1 operator /(Lanes1 a, Lanes1 b) => new(a._value / b._value);

    public static Lanes1 Sqrt(Lanes1 a) => new(MathF.Sqrt(a._value));

    public static Lanes1 Max(Lanes1 a, Lanes1 b) => new(MathF.Max(a._value, b._value));

    public static Lanes1 Fma(Lanes1 a, Lanes1 b, Lanes1 c) => new(MathF.FusedMultiplyAdd(a._value, b._value, c._value));

    public static Lanes1 Sign(Lanes1 a) => new((a._value > 0 ? 1f : 0f) - (a._value < 0 ? 1f : 0f));

    public static Lanes1 Within(Lanes1 a, Lanes1 bound, ref Lanes1 beyond)
    {
        if (MathF.Abs(a._value) <= bound._value)
            return a;
        beyond = new(1);
        return default;
    }

    public static bool HasBits(Lanes1 a) => BitConverter.SingleToUInt32Bits(a._value) != 0;
}
