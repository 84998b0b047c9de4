using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Amari.Kernels;

/// <summary>Adds the squares of a gradient in double precision, in an order that no hardware changes.</summary>
internal readonly unsafe struct SquarePass : ISweepPass
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(SweepSegment* segment, long from, long to, ref double sum)
    {
        var (low, high) = (Vector512<double>.Zero, Vector512<double>.Zero);   // two registers of 256 bits each where there are none of 512
        long i = from;
        if (segment->IsBFloat16)
        {
            var g = (ushort*)segment->G;
            for (; i <= to - 16; i += 16) Add(Widened(g + i), ref low, ref high);
            for (; i < to; i++) sum += Square(BitConverter.UInt32BitsToSingle((uint)g[i] << 16));
        }
        else
        {
            var g = (float*)segment->G;
            for (; i <= to - 16; i += 16) Add(Vector512.Load(g + i), ref low, ref high);
            for (; i < to; i++) sum += Square(g[i]);
        }
        low += high;
        for (int lane = 0; lane < Vector512<double>.Count; lane++) sum += low[lane];   // Vector512.Sum's order is the hardware's
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<float> Widened(ushort* from) =>
        Vector512.ShiftLeft(Vector512.WidenLower(Vector256.Load(from).ToVector512Unsafe()), 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector512<float> g, ref Vector512<double> low, ref Vector512<double> high)
    {
        var (a, b) = Vector512.Widen(g);
        low += a * a;
        high += b * b;
    }

    private static double Square(double g) => g * g;
}

/// <summary>Sets a gradient to zero.</summary>
internal readonly unsafe struct ZeroPass : ISweepPass
{
    public void Run(SweepSegment* segment, long from, long to, ref double sum)
    {
        int size = segment->IsBFloat16 ? sizeof(ushort) : sizeof(float);
        new Span<byte>((byte*)segment->G + from * size, (int)(to - from) * size).Clear();
    }
}
