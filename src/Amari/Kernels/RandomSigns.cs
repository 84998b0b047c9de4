using System.Runtime.Intrinsics;

namespace Amari.Kernels;

/// <summary>Random signs, 1 or -1, 64 from each number of <see cref="SplitMix64"/>. They depend on the seed and the place, not on the
/// number of threads.</summary>
internal static unsafe class RandomSigns
{
    /// <summary>Fills a tensor.</summary>
    /// <param name="t">Float32, dense, on the CPU.</param>
    /// <param name="seed">Any number.</param>
    public static void Fill(Tensor t, ulong seed) => SweepPass.Fill(new Pass(seed), t);

    private readonly struct Pass(ulong seed) : ISweepPass
    {
        private const int Bits = 64,
            Lanes = 8;
        private readonly ulong _seed = seed;

        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            float* w = (float*)segment->W;
            for (long x = from; x < to; x += Bits)
            {
                ulong bits = SplitMix64.Number(_seed, (ulong)x / Bits);
                int count = (int)Math.Min(Bits, to - x),
                    i = 0;
                for (; i <= count - Lanes; i += Lanes, bits >>= Lanes)
                    Signs((byte)bits).Store(w + x + i);
                for (; i < count; i++, bits >>= 1)
                    w[x + i] = (bits & 1) == 0 ? 1 : -1;
            }
        }

        private static Vector256<float> Signs(byte bits)
        {
            var masks = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128);
            var chosen = Vector256.Equals(Vector256.Create((uint)bits) & masks, masks);
            return ((chosen & Vector256.Create(0x80000000u)) | Vector256<float>.One.AsUInt32()).AsSingle();
        }
    }
}
