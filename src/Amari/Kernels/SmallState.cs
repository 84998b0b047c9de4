using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>Moments in fewer than 32 bits: 64 at a time are widened, updated in float32, and rounded stochastically.</summary>
/// <remarks>bfloat16: the upper half of a float32's bits after random ones were added to the lower half. Blocks of 8 bits: with s the
/// largest magnitude of the block and n levels,
/// <code>
/// decode(q) = s (q / n)⁴          n = 127 and a sign for the first moment, n = 255 for the second
/// encode(x) = q or q + 1,  q = ⌊n (|x| / s)^¼⌋, with the probabilities that make E decode = x
/// </code>The random numbers are a hash of the place and the step: a run is repeatable, and resumes bit for bit.</remarks>
internal static unsafe class SmallState
{
    /// <summary>Numbers of a block, which have one scale.</summary>
    public const int Block = 64;

    private const int Width = 8; // numbers computed side by side: registers of 512 bits are emulated, slowly, where there are none
    private const uint Golden = 0x9E3779B9u;

    /// <summary>How many scales a tensor needs.</summary>
    public static long Blocks(long count) => (count + Block - 1) / Block;

    /// <summary>Zeros in a format: the numbers, and their scales where it has some.</summary>
    public static (Tensor Values, Tensor? Scales) Zeros(Tensor like, StateFormat format) =>
        format switch
        {
            StateFormat.BFloat16 => (zeros(like.shape, dtype: ScalarType.BFloat16, device: like.device), null),
            StateFormat.BlockwiseInt8 => (
                zeros(like.shape, dtype: ScalarType.Byte, device: like.device),
                zeros(Blocks(like.numel()), dtype: ScalarType.Float32, device: like.device)
            ),
            _ => throw new ArgumentOutOfRangeException(nameof(format), format, "Full needs no such state."),
        };

    /// <summary>A moment in full, a fresh tensor.</summary>
    /// <param name="values">As it is kept.</param>
    /// <param name="scales">Of its blocks, where the format has them.</param>
    /// <param name="signed">Whether it may be negative.</param>
    /// <param name="type">The dtype of the result.</param>
    public static Tensor Widen(Tensor values, Tensor? scales, bool signed, ScalarType type)
    {
        using var scope = NewDisposeScope();
        Tensor codes = values.cpu().contiguous(),
            factors = scales?.cpu() ?? zeros(1),
            full = zeros_like(codes, dtype: ScalarType.Float32);
        EachBlock(full, codes, factors, (address, from, n, numbers) => Decode(address, from, n, signed, numbers));
        return full.to(type, values.device).MoveToOuterDisposeScope();
    }

    /// <summary>Rounds a moment into the tensors that keep it.</summary>
    /// <param name="full">Not changed.</param>
    /// <param name="values">Takes the numbers.</param>
    /// <param name="scales">Takes the scales of the blocks, where the format has them.</param>
    /// <param name="signed">Whether it may be negative.</param>
    /// <param name="salt">See <see cref="Salt"/>.</param>
    public static void Narrow(Tensor full, Tensor values, Tensor? scales, bool signed, uint salt)
    {
        using var scope = NewDisposeScope();
        Tensor codes = values.cpu().contiguous(),
            factors = scales?.cpu() ?? zeros(1),
            wide = full.to(ScalarType.Float32, CPU, copy: true).contiguous();
        EachBlock(wide, codes, factors, (address, from, n, numbers) => Encode(numbers, address, from, n, signed, salt));
        values.copy_(codes);
        scales?.copy_(factors);
    }

    private static void EachBlock(Tensor full, Tensor codes, Tensor factors, BlockAction action)
    {
        var address = new Address(codes.dtype, Native.LibTorch.DataPointer(codes.Handle), Native.LibTorch.DataPointer(factors.Handle));
        float* block = stackalloc float[Block],
            numbers = (float*)Native.LibTorch.DataPointer(full.Handle);
        for (long from = 0, count = codes.numel(); from < count; from += Block)
        {
            int n = (int)Math.Min(Block, count - from);
            new Span<float>(block, Block).Clear();
            new Span<float>(numbers + from, n).CopyTo(new(block, Block));
            action(address, from, n, block);
            new Span<float>(block, n).CopyTo(new(numbers + from, n));
        }
    }

    private delegate void BlockAction(Address address, long from, int count, float* numbers);

    /// <summary>Whether a moment of this dtype is kept in fewer bits than it is computed in.</summary>
    public static bool IsSmall(ScalarType type) => type is ScalarType.BFloat16 or ScalarType.Byte;

    /// <summary>What makes the random numbers of a step and a moment others.</summary>
    public static uint Salt(long step, int moment) => Golden * (uint)(2 * step + moment + 1);

    /// <summary>Where a moment lies.</summary>
    public readonly record struct Address(ScalarType Type, nint Values, nint Scales);

    /// <summary>Widens up to 64 numbers from <paramref name="from"/> (a multiple of 64) on; what is missing to 64 is not defined.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Decode(in Address address, long from, int count, bool signed, float* to)
    {
        if (address.Type == ScalarType.BFloat16)
        {
            ushort* source = (ushort*)address.Values + from,
                tail = stackalloc ushort[Block];
            if (count < Block)
            {
                new Span<ushort>(source, count).CopyTo(new(tail, Block));
                source = tail;
            }
            for (int i = 0; i < Block; i += Width)
                Vector256.ShiftLeft(Widen(source + i), 16).AsSingle().Store(to + i);
            return;
        }
        byte* codes = (byte*)address.Values + from,
            rest = stackalloc byte[Block];
        if (count < Block)
        {
            new Span<byte>(codes, count).CopyTo(new(rest, Block));
            codes = rest;
        }
        var scale = Vector256.Create(((float*)address.Scales)[from / Block]);
        for (int i = 0; i < Block; i += Width)
        {
            var code = Widen(codes + i);
            var level = signed ? code & Vector256.Create(127u) : code;
            var x = Quartic(Vector256.ConvertToSingle(level.AsInt32()), signed) * scale;
            if (signed)
                x = (x.AsUInt32() | Vector256.ShiftLeft(code & Vector256.Create(128u), 24)).AsSingle();
            x.Store(to + i);
        }
    }

    /// <summary>Rounds up to 64 numbers; those that are missing to 64 may be anything finite.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Encode(float* numbers, in Address address, long from, int count, bool signed, uint salt)
    {
        var place = Vector256.Create((uint)from) + Vector256<uint>.Indices;
        if (address.Type == ScalarType.BFloat16)
        {
            ushort* target = (ushort*)address.Values + from,
                part = stackalloc ushort[Block];
            for (int i = 0; i < Block; i += Width)
            {
                var x = Vector256.Load(numbers + i);
                var bits = x.AsUInt32() + (Hash(place + Vector256.Create((uint)i), salt) & Vector256.Create(0xFFFFu));
                bits = Vector256.ShiftRightLogical(
                    Vector256.ConditionalSelect(Vector256.IsNaN(x).AsUInt32(), Vector256.Create(0x7FC00000u), bits),
                    16
                );
                Vector128.Narrow(bits.GetLower(), bits.GetUpper()).Store((count < Block ? part : target) + i);
            }
            if (count < Block)
                new Span<ushort>(part, count).CopyTo(new(target, count));
            return;
        }
        var largest = Vector256<float>.Zero;
        new Span<float>(numbers + count, Block - count).Clear();
        for (int i = 0; i < Block; i += Width)
            largest = Vector256.Max(largest, Vector256.Abs(Vector256.Load(numbers + i))); // NaN, if there is one
        float scale = 0;
        for (int i = 0; i < Width; i++)
            scale = MathF.Max(scale, largest[i]);
        ((float*)address.Scales)[from / Block] = scale;
        byte* codes = (byte*)address.Values + from,
            rest = stackalloc byte[Block];
        byte* to = count < Block ? rest : codes;
        if (!float.IsFinite(scale))
            new Span<byte>(to, Block).Fill(127); // the block is lost: it decodes to what the scale is
        else
        {
            float levels = signed ? 127 : 255;
            var inverse = Vector256.Create(scale < 1e-30f ? 0 : 1 / scale); // a block of smaller numbers than that is kept as zeros
            for (int i = 0; i < Block; i += Width)
            {
                var x = Vector256.Load(numbers + i);
                var y = Vector256.Abs(x) * inverse;
                var q = Vector256.Min(Vector256.Floor(Vector256.Sqrt(Vector256.Sqrt(y)) * levels), Vector256.Create(levels - 1));
                Vector256<float> low = Quartic(q, signed),
                    high = Quartic(q + Vector256<float>.One, signed);
                var random =
                    Vector256.ConvertToSingle(Vector256.ShiftRightLogical(Hash(place + Vector256.Create((uint)i), salt), 8).AsInt32())
                    * (1f / (1 << 24));
                q += Vector256.ConditionalSelect(Vector256.LessThan(random * (high - low), y - low), Vector256<float>.One, default);
                if (!signed)
                    q = Vector256.ConditionalSelect(Vector256.GreaterThan(y, default), Vector256.Max(q, Vector256<float>.One), q);
                var code = Vector256.ConvertToInt32(q).AsUInt32();
                if (signed)
                    code |= Vector256.ShiftLeft(Vector256.ShiftRightLogical(x.AsUInt32(), 31), 7);
                var narrow = Vector128.Narrow(code.GetLower(), code.GetUpper());
                *(ulong*)(to + i) = Vector128.Narrow(narrow, narrow).AsUInt64().ToScalar();
            }
        }
        if (count < Block)
            new Span<byte>(rest, count).CopyTo(new(codes, count));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Quartic(Vector256<float> level, bool signed)
    {
        var r = level * (signed ? 1f / 127 : 1f / 255);
        return r * r * (r * r);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Widen(ushort* from) => Vector256.WidenLower(Vector128.Load(from).ToVector256Unsafe());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Widen(byte* from) =>
        Vector256.WidenLower(Vector128.WidenLower(Vector128.CreateScalar(*(ulong*)from).AsByte()).ToVector256Unsafe());

    /// <summary>32 bits that look random (the finalizer of MurmurHash3, public domain).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<uint> Hash(Vector256<uint> place, uint salt)
    {
        var x = place ^ Vector256.Create(salt);
        x = (x ^ Vector256.ShiftRightLogical(x, 16)) * 0x85EBCA6Bu;
        x = (x ^ Vector256.ShiftRightLogical(x, 13)) * 0xC2B2AE35u;
        return x ^ Vector256.ShiftRightLogical(x, 16);
    }
}
