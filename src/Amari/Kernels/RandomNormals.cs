using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Amari.Kernels;

/// <summary>Standard normal numbers, two from each number of <see cref="SplitMix64"/> (Box and Muller 1958). They depend on the seed and
/// the place, not on the number of threads.</summary>
/// <remarks><code>
/// √(-2 ln u) (cos 2πv, sin 2πv)     u uniform on (0, 1], v on [0, 1), 24 bits each
/// </code></remarks>
internal static unsafe class RandomNormals
{
    /// <summary>Fills a tensor.</summary>
    /// <param name="t">Float32, dense, on the CPU.</param>
    /// <param name="seed">Any number.</param>
    public static void Fill(Tensor t, ulong seed) => SweepPass.Fill(new Pass(seed), t);

    private readonly struct Pass(ulong seed) : ISweepPass
    {
        private const int Pairs = 8, // made together: their cosines, then their sines
            UnusedBits = 8; // of 32
        private const float Unit = 1f / (1 << 24);
        private readonly ulong _seed = seed;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            float* w = (float*)segment->W,
                last = stackalloc float[2 * Pairs];
            ulong* bits = stackalloc ulong[Pairs];
            for (long x = from; x < to; x += 2 * Pairs)
            {
                for (int i = 0; i < Pairs; i++)
                    bits[i] = SplitMix64.Number(_seed, ((ulong)x / 2) + (ulong)i);
                if (x + (2 * Pairs) <= to)
                {
                    Normals(bits, w + x);
                    continue;
                }
                Normals(bits, last);
                new Span<float>(last, (int)(to - x)).CopyTo(new(w + x, (int)(to - x)));
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Normals(ulong* bits, float* normals)
        {
            Vector256<ulong> a = Vector256.Load(bits),
                b = Vector256.Load(bits + 4);
            Vector256<uint> low = Vector256.Narrow(a & Vector256.Create((ulong)uint.MaxValue), b & Vector256.Create((ulong)uint.MaxValue)),
                high = Vector256.Narrow(a >> 32, b >> 32);
            var u = Vector256.ConvertToSingle(((low >> UnusedBits) + Vector256<uint>.One).AsInt32()) * Unit;
            var v = Vector256.ConvertToSingle((high >> UnusedBits).AsInt32()) * Unit;
            var radius = Vector256.Sqrt(-2 * Vector256.Log(u));
            var (sin, cos) = Vector256.SinCos(2 * MathF.PI * v);
            (radius * cos).Store(normals);
            (radius * sin).Store(normals + Pairs);
        }
    }
}
