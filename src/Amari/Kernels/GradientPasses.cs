using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Amari.Kernels;

/// <summary>Adds the squares of a gradient in double precision, in an order that no hardware changes.</summary>
internal readonly unsafe struct SquarePass : ISweepPass
{
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run(SweepSegment* segment, long from, long to, ref double sum)
    {
        var (low, high) = (Vector256<double>.Zero, Vector256<double>.Zero);
        long i = from;
        if (segment->IsBFloat16)
        {
            var g = (ushort*)segment->G;
            for (; i <= to - Vector256<float>.Count; i += Vector256<float>.Count)
                Add(Widened(g + i), ref low, ref high);
            for (; i < to; i++)
                sum += Square(BitConverter.UInt32BitsToSingle((uint)g[i] << 16));
        }
        else
        {
            var g = (float*)segment->G;
            for (; i <= to - Vector256<float>.Count; i += Vector256<float>.Count)
                Add(Vector256.Load(g + i), ref low, ref high);
            for (; i < to; i++)
                sum += Square(g[i]);
        }
        low += high;
        for (int lane = 0; lane < Vector256<double>.Count; lane++)
            sum += low[lane]; // Vector256.Sum's order is the hardware's
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Widened(ushort* from) =>
        Vector256.ShiftLeft(Vector256.WidenLower(Vector128.Load(from).ToVector256Unsafe()), 16).AsSingle();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(Vector256<float> g, ref Vector256<double> low, ref Vector256<double> high)
    {
        var (a, b) = Vector256.Widen(g);
        low += a * a;
        high += b * b;
    }

    private static double Square(double g) => g * g;
}
