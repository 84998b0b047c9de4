using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Amari.Kernels;

/// <summary>Moments in fewer than 32 bits: 64 at a time are widened, updated in float32, and rounded stochastically.</summary>
/// <remarks>bfloat16: the upper half of a float32's bits after random ones were added to the lower half. Blocks of 8 bits: with s the
/// largest magnitude of the block and n levels,
/// <code>
/// decode(q) = s (q / n)⁴          n = 127 and a sign for the first moment, n = 255 for the second
/// encode(x) = q or q + 1,  q = ⌊z^¼⌋,  z = n⁴ |x| / s, with the probabilities that make E decode = x
/// </code>The root is approximate and q is corrected, so that the bits are the same on every processor. The random numbers are a hash of
/// the place and the step: a run is repeatable, and resumes bit for bit.</remarks>
internal static unsafe class SmallState
{
    /// <summary>Numbers of a block, which have one scale.</summary>
    public const int Block = 64;

    private const uint Golden = 0x9E3779B9u;
    private const int Ahead = 512; // bytes that are asked for before they are read

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
            factors = scales?.cpu() ?? zeros(1, dtype: ScalarType.Float32),
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
            factors = scales?.cpu() ?? zeros(1, dtype: ScalarType.Float32),
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

    /// <summary>Widens numbers from <paramref name="from"/> (a multiple of 64) on; what is missing to a multiple of 64 is not
    /// defined.</summary>
    public static void Decode(in Address address, long from, int count, bool signed, float* to)
    {
        if (Vector512.IsHardwareAccelerated)
            Decode<Lanes512>(address, from, count, signed, to);
        else
            Decode<Lanes256>(address, from, count, signed, to);
    }

    /// <summary>Rounds numbers; those that are missing to a multiple of 64 may be anything.</summary>
    public static void Encode(float* numbers, in Address address, long from, int count, bool signed, uint salt)
    {
        if (Vector512.IsHardwareAccelerated)
            Encode<Lanes512>(numbers, address, from, count, signed, salt);
        else
            Encode<Lanes256>(numbers, address, from, count, signed, salt);
    }

    /// <summary><see cref="Decode(in Address, long, int, bool, float*)"/> on registers of one width.</summary>
    public static void Decode<L>(in Address address, long from, int count, bool signed, float* to)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        int size = address.Type == ScalarType.BFloat16 ? sizeof(ushort) : sizeof(byte),
            whole = count & -Block;
        byte* source = (byte*)address.Values + size * from;
        for (int i = 0; i < whole; i += Block)
            DecodeBlock<L>(address, source + size * i, from + i, signed, to + i);
        if (whole == count)
            return;
        byte* part = stackalloc byte[Block * sizeof(ushort)];
        new Span<byte>(source + size * whole, size * (count - whole)).CopyTo(new(part, Block * sizeof(ushort)));
        DecodeBlock<L>(address, part, from + whole, signed, to + whole);
    }

    /// <summary><see cref="Encode(float*, in Address, long, int, bool, uint)"/> on registers of one width.</summary>
    public static void Encode<L>(float* numbers, in Address address, long from, int count, bool signed, uint salt)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        int size = address.Type == ScalarType.BFloat16 ? sizeof(ushort) : sizeof(byte),
            whole = count & -Block;
        byte* target = (byte*)address.Values + size * from;
        EncodeBlocks<L>(numbers, address, target, from, whole, signed, salt);
        if (whole == count)
            return;
        byte* part = stackalloc byte[Block * sizeof(ushort)];
        new Span<float>(numbers + count, whole + Block - count).Clear();
        EncodeBlocks<L>(numbers + whole, address, part, from + whole, Block, signed, salt);
        new Span<byte>(part, size * (count - whole)).CopyTo(new(target + size * whole, size * (count - whole)));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void DecodeBlock<L>(in Address address, byte* source, long from, bool signed, float* to)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        bool isBFloat16 = address.Type == ScalarType.BFloat16;
        if (Sse.IsSupported)
        {
            Sse.Prefetch0(source + Ahead);
            if (isBFloat16)
                Sse.Prefetch0(source + 2 * Ahead + Block);
        }
        if (isBFloat16)
        {
            for (int i = 0; i < Block; i += L.Width)
                L.Store(L.Load((ushort*)source + i), to + i);
            return;
        }
        L scale = ((float*)address.Scales)[from / Block];
        if (signed)
        {
            L unit = 1f / 127;
            for (int i = 0; i < Block; i += L.Width)
            {
                L square = Square(L.Levels(source + i, 127), unit);
                L.Store(L.WithSigns(square * square * scale, source + i), to + i);
            }
        }
        else
        {
            L unit = 1f / 255;
            for (int i = 0; i < Block; i += L.Width)
            {
                L square = Square(L.Levels(source + i, 255), unit);
                L.Store(square * square * scale, to + i);
            }
        }
    }

    /// <summary>The scale of each block, the largest magnitude: of all blocks first, so that none waits for its own.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Measure<L>(float* numbers, float* scales, int count)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        for (int from = 0; from < count; from += Block)
        {
            L largest = 0;
            for (int i = 0; i < Block; i += L.Width)
                largest = L.LargerMagnitude(largest, L.Load(numbers + from + i));
            *scales++ = L.Largest(largest);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void EncodeBlocks<L>(float* numbers, in Address address, byte* target, long from, int count, bool signed, uint salt)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        if (address.Type == ScalarType.BFloat16)
        {
            for (int i = 0; i < count; i += L.Width)
                L.Store(L.Load(numbers + i), (ushort*)target + i, (uint)(from + i), salt);
            return;
        }
        // A block of smaller numbers than 1e-28 is kept as zeros. Rounded down, so that no share of the scale is above 1.
        const float Down = 1 - 4f / (1 << 23);
        float most = signed ? 127 : 255,
            share = Down * (most * most * most * most);
        float* scale = (float*)address.Scales + from / Block;
        Measure<L>(numbers, scale, count);
        L places = L.Places((uint)from, salt);
        for (int block = 0; block < count; block += Block, scale++)
        {
            if (!float.IsFinite(*scale))
            {
                new Span<byte>(target + block, Block).Fill(127); // the block is lost: it decodes to what the scale is
                places = L.Places((uint)(from + block + Block), salt);
                continue;
            }
            L inverse = *scale < 1e-28f ? 0 : share / *scale;
            if (signed)
                for (int i = block; i < block + Block; i += L.Width, places = L.Next(places))
                {
                    L x = L.Load(numbers + i);
                    L.StoreCodes(Level(L.Abs(x) * inverse, L.Hash(places)), x, target + i);
                }
            else
                for (int i = block; i < block + Block; i += L.Width, places = L.Next(places))
                {
                    L z = L.Load(numbers + i) * inverse,
                        level = Level(z, L.Hash(places));
                    L.StoreCodes(L.Larger(level, L.OneWhereLess(0, z)), target + i);
                }
        }
    }

    /// <summary>q or q + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static L Level<L>(L z, L random)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        // Rounded down, by more than the root's error and by less than one level: q or one less.
        const float Down = 1 - 1f / 1024;
        L one = 1,
            q = L.Floor(L.FourthRoot(z) * Down);
        q = L.PlusOneWhereLess(q, 0, Beyond(q + one, z));
        L step = L.Fma(L.Fma(L.Fma(4, q, 6), q, 4), q, one), // (q + 1)⁴ - q⁴
            part = Beyond(q, z) + step;
        return L.PlusOneWhereLess(q, L.FromOneToTwo(random) * step, part);
    }

    /// <summary>z - q⁴.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static L Beyond<L>(L q, L z)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        L square = q * q;
        return z - square * square;
    }

    /// <summary>(level / n)².</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static L Square<L>(L level, L unit)
        where L : struct, ILanes<L>, IStateLanes<L>
    {
        L r = level * unit;
        return r * r;
    }
}
