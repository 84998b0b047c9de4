using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>Takes multiples of the rows vᵢ of a float32 matrix from a vector, and measures what is left along them, with one read of the
/// rows from memory.</summary>
/// <remarks><code>
/// w ← w - Σ cᵢ vᵢ,   then   hᵢ = vᵢ'w   and   w'w
/// </code>Some columns at a time: what the first half has read is in the cache for the second. Products are rounded to float32 and summed
/// in float32 over 64 numbers, in float64 beyond. Results do not depend on the number of threads.</remarks>
internal static unsafe class RowSweep
{
    /// <summary>Whether these are float32 and dense on the CPU.</summary>
    public static bool IsUsable(Tensor rows, Tensor w) => IsDense(rows) && IsDense(w);

    /// <param name="rows">V' : [k, d].</param>
    /// <param name="chosen">The indices i; other rows are not read.</param>
    /// <param name="coefficients">cᵢ, by the index of the row.</param>
    /// <param name="w">[d], changed in place.</param>
    /// <param name="along">Receives hᵢ, by the index of the row; that of other rows is left as it is.</param>
    /// <returns>w'w.</returns>
    public static double Run(Tensor rows, ReadOnlySpan<int> chosen, ReadOnlySpan<double> coefficients, Tensor w, Span<double> along)
    {
        long d = w.numel();
        int count = chosen.Length,
            chunks = SweepPass.Chunks(d);
        double[] sums = ArrayPool<double>.Shared.Rent((count + 1) * chunks);
        var segment = new SweepSegment
        {
            W = LibTorch.DataPointer(w.Handle),
            Length = d,
            End = d,
        };
        var addresses = new nint[count];
        var scales = new float[count];
        for (int i = 0; i < count; i++)
        {
            addresses[i] = LibTorch.DataPointer(rows.Handle) + (nint)(chosen[i] * d * sizeof(float));
            scales[i] = (float)-coefficients[chosen[i]];
        }
        double squares = 0;
        fixed (double* partial = sums)
        fixed (nint* address = addresses)
        fixed (float* scale = scales)
        {
            SweepPass.Run(new Pass(count, (float**)address, scale, partial), &segment, d, partial + ((long)count * chunks));
            for (int i = 0; i < count; i++)
            {
                double sum = 0;
                for (int chunk = 0; chunk < chunks; chunk++)
                    sum += partial[((long)chunk * count) + i];
                along[chosen[i]] = sum;
            }
            for (int chunk = 0; chunk < chunks; chunk++)
                squares += partial[((long)count * chunks) + chunk];
        }
        ArrayPool<double>.Shared.Return(sums);
        GC.KeepAlive(rows);
        GC.KeepAlive(w);
        return squares;
    }

    private static bool IsDense(Tensor t) =>
        LibTorch.Type(t.Handle) == ScalarType.Float32 && LibTorch.Device(t.Handle) == DeviceType.CPU && LibTorch.IsContiguous(t.Handle);

    private readonly struct Pass(int count, float** rows, float* scales, double* along) : ISweepPass
    {
        private const int Block = 1024, // columns: a hundred rows of it fit in a cache of the second level
            Width = 16;
        private readonly int _count = count;
        private readonly float** _rows = rows;
        private readonly float* _scales = scales;
        private readonly double* _along = along;

        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            float* w = (float*)segment->W;
            double* h = _along + (_count * (from / SweepPass.ChunkSize));
            new Span<double>(h, _count).Clear();
            for (long start = from; start < to; start += Block)
            {
                long end = Math.Min(start + Block, to);
                int i = 0;
                for (; i + 4 <= _count; i += 4)
                    Take(_rows + i, _scales + i, w, start, end);
                for (; i < _count; i++)
                    TakeOne(_rows[i], _scales[i], w, start, end);
                for (i -= i % 4; i < _count; i++)
                    h[i] += Dot(_rows[i], w, start, end);
                for (i = (_count & ~3) - 4; i >= 0; i -= 4) // backwards: the last read are the nearest
                    Dots(_rows + i, w, start, end, h + i);
                sum += Squares(w, start, end);
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Take(float** rows, float* scales, float* w, long x, long end)
        {
            float* a = rows[0],
                b = rows[1],
                c = rows[2],
                d = rows[3];
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
        private static void Dots(float** rows, float* w, long x, long end, double* h)
        {
            float* a = rows[0],
                b = rows[1],
                c = rows[2],
                d = rows[3];
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
