using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>Takes multiples of the rows vᵢ of a float32 matrix from a vector, and measures what is left along them, with one read of the
/// rows from memory.</summary>
/// <remarks><code>
/// w ← w - Σ cᵢ vᵢ,   then   hᵢ = vᵢ'w   and   w'w
/// </code>Some columns at a time: what the first half has read is in the cache for the second. Products are rounded to float32 and summed in
/// float32 over 64 numbers, in float64 beyond. Results do not depend on the number of threads.</remarks>
internal static unsafe class RowSweep
{
    /// <summary>Whether these are float32 and dense on the CPU.</summary>
    public static bool IsUsable(Tensor rows, Tensor w) => IsDense(rows) && IsDense(w);

    /// <param name="rows">V' : [k, d].</param>
    /// <param name="coefficients">c.</param>
    /// <param name="w">[d], changed in place.</param>
    /// <param name="along">Receives h.</param>
    /// <param name="lastCoefficients">If not empty, the last row is changed first: by the same with these k - 1 coefficients and the rows
    /// before.</param>
    /// <param name="alongLast">Receives its k - 1 products with them.</param>
    /// <returns>w'w.</returns>
    public static double Run(
        Tensor rows,
        ReadOnlySpan<double> coefficients,
        Tensor w,
        Span<double> along,
        ReadOnlySpan<double> lastCoefficients = default,
        Span<double> alongLast = default
    )
    {
        int count = (int)rows.size(0),
            sums = count + alongLast.Length,
            chunks = SweepPass.Chunks(w.numel());
        double[] partial = ArrayPool<double>.Shared.Rent((sums + 1) * chunks);
        float[] scales = new float[sums];
        for (int i = 0; i < sums; i++)
            scales[i] = (float)-(i < count ? coefficients[i] : lastCoefficients[i - count]);
        var segment = new SweepSegment
        {
            W = LibTorch.DataPointer(w.Handle),
            G = LibTorch.DataPointer(rows.Handle),
            Length = w.numel(),
            End = w.numel(),
        };
        double squares = 0;
        fixed (double* partials = partial)
        fixed (float* scale = scales)
        {
            SweepPass.Run(new Pass(count, sums, scale, partials), &segment, segment.End, partials + ((long)sums * chunks));
            for (int i = 0; i < sums; i++)
            {
                double sum = 0;
                for (int chunk = 0; chunk < chunks; chunk++)
                    sum += partials[((long)chunk * sums) + i];
                if (i < count)
                    along[i] = sum;
                else
                    alongLast[i - count] = sum;
            }
            for (int chunk = 0; chunk < chunks; chunk++)
                squares += partials[((long)sums * chunks) + chunk];
        }
        ArrayPool<double>.Shared.Return(partial);
        GC.KeepAlive(rows);
        GC.KeepAlive(w);
        return squares;
    }

    private static bool IsDense(Tensor t) =>
        LibTorch.Type(t.Handle) == ScalarType.Float32 && LibTorch.Device(t.Handle) == DeviceType.CPU && LibTorch.IsContiguous(t.Handle);

    private readonly struct Pass(int count, int sums, float* scales, double* along) : ISweepPass
    {
        private const int Block = 1024, // columns: a hundred rows of it fit in a cache of the second level
            Width = 16;
        private readonly int _count = count,
            _sums = sums; // more than there are rows if the last one is changed
        private readonly float* _scales = scales;
        private readonly double* _along = along;

        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            float* w = (float*)segment->W,
                rows = (float*)segment->G;
            long d = segment->Length;
            double* h = _along + (_sums * (from / SweepPass.ChunkSize));
            new Span<double>(h, _sums).Clear();
            for (long start = from; start < to; start += Block)
            {
                long end = Math.Min(start + Block, to);
                if (_sums > _count)
                    Sweep(rows, d, _count - 1, _scales + _count, rows + ((_count - 1) * d), start, end, h + _count);
                Sweep(rows, d, _count, _scales, w, start, end, h);
                sum += Squares(w, start, end);
            }
        }

        private static void Sweep(float* rows, long d, int count, float* scales, float* w, long start, long end, double* h)
        {
            int i = 0;
            for (; i + 4 <= count; i += 4)
                Take(rows + (i * d), d, scales + i, w, start, end);
            for (; i < count; i++)
                TakeOne(rows + (i * d), scales[i], w, start, end);
            for (i -= i % 4; i < count; i++)
                h[i] += Dot(rows + (i * d), w, start, end);
            for (i = (count & ~3) - 4; i >= 0; i -= 4) // backwards: the last read are the nearest
                Dots(rows + (i * d), d, w, start, end, h + i);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Take(float* a, long stride, float* scales, float* w, long x, long end)
        {
            float* b = a + stride,
                c = b + stride,
                d = c + stride;
            if (scales[0] == 0 && scales[1] == 0 && scales[2] == 0 && scales[3] == 0)
                return;
            Vector256<float> p = Vector256.Create(scales[0]),
                q = Vector256.Create(scales[1]),
                r = Vector256.Create(scales[2]),
                s = Vector256.Create(scales[3]);
            for (; x <= end - Width; x += Width)
            {
                Vector256<float> u = Vector256.Load(w + x),
                    v = Vector256.Load(w + x + 8);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(a + x), p, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(a + x + 8), p, v);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(b + x), q, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(b + x + 8), q, v);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(c + x), r, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(c + x + 8), r, v);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(d + x), s, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(d + x + 8), s, v);
                u.Store(w + x);
                v.Store(w + x + 8);
            }
            for (; x < end; x++)
                w[x] += scales[0] * a[x] + scales[1] * b[x] + scales[2] * c[x] + scales[3] * d[x];
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void TakeOne(float* row, float scale, float* w, long x, long end)
        {
            if (scale == 0)
                return;
            var p = Vector256.Create(scale);
            for (; x <= end - 8; x += 8)
                Vector256.FusedMultiplyAdd(Vector256.Load(row + x), p, Vector256.Load(w + x)).Store(w + x);
            for (; x < end; x++)
                w[x] += scale * row[x];
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Dots(float* a, long stride, float* w, long x, long end, double* h)
        {
            float* b = a + stride,
                c = b + stride,
                d = c + stride;
            Vector256<float> a0 = default,
                b0 = default,
                c0 = default,
                d0 = default,
                a1 = default,
                b1 = default,
                c1 = default,
                d1 = default;
            for (; x <= end - Width; x += Width)
            {
                Vector256<float> u = Vector256.Load(w + x),
                    v = Vector256.Load(w + x + 8);
                a0 = Vector256.FusedMultiplyAdd(Vector256.Load(a + x), u, a0);
                a1 = Vector256.FusedMultiplyAdd(Vector256.Load(a + x + 8), v, a1);
                b0 = Vector256.FusedMultiplyAdd(Vector256.Load(b + x), u, b0);
                b1 = Vector256.FusedMultiplyAdd(Vector256.Load(b + x + 8), v, b1);
                c0 = Vector256.FusedMultiplyAdd(Vector256.Load(c + x), u, c0);
                c1 = Vector256.FusedMultiplyAdd(Vector256.Load(c + x + 8), v, c1);
                d0 = Vector256.FusedMultiplyAdd(Vector256.Load(d + x), u, d0);
                d1 = Vector256.FusedMultiplyAdd(Vector256.Load(d + x + 8), v, d1);
            }
            h[0] += Sum(a0, a1);
            h[1] += Sum(b0, b1);
            h[2] += Sum(c0, c1);
            h[3] += Sum(d0, d1);
            for (; x < end; x++)
            {
                h[0] += (double)a[x] * w[x];
                h[1] += (double)b[x] * w[x];
                h[2] += (double)c[x] * w[x];
                h[3] += (double)d[x] * w[x];
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static double Dot(float* row, float* w, long x, long end)
        {
            Vector256<float> low = default,
                high = default;
            for (; x <= end - Width; x += Width)
            {
                low = Vector256.FusedMultiplyAdd(Vector256.Load(row + x), Vector256.Load(w + x), low);
                high = Vector256.FusedMultiplyAdd(Vector256.Load(row + x + 8), Vector256.Load(w + x + 8), high);
            }
            double sum = Sum(low, high);
            for (; x < end; x++)
                sum += (double)row[x] * w[x];
            return sum;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static double Squares(float* w, long x, long end)
        {
            Vector256<double> low = default,
                high = default;
            for (; x <= end - 8; x += 8)
            {
                var (u, v) = Vector256.Widen(Vector256.Load(w + x));
                (low, high) = (low + u * u, high + v * v);
            }
            double sum = Sum(low) + Sum(high);
            for (; x < end; x++)
                sum += (double)w[x] * w[x];
            return sum;
        }

        private static double Sum(Vector256<float> low, Vector256<float> high)
        {
            var (a, b) = Vector256.Widen(low);
            var (c, d) = Vector256.Widen(high);
            return Sum(a + b + (c + d));
        }

        private static double Sum(Vector256<double> v) => v[0] + v[1] + (v[2] + v[3]); // Vector256.Sum's order is the hardware's
    }
}
