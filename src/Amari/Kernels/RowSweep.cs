using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>Takes multiples of vectors vᵢ from a vector, and measures what is left along them, with one read of the vᵢ from
/// memory.</summary>
/// <remarks><code>
/// w ← w - Σ cᵢ vᵢ,   then   hᵢ = vᵢ'w   and   w'w
/// V : [n, k, b]     tiles of b columns: vᵢ is row i of each, one tile after the other; the last ends in zeros
/// </code>The rows of a tile lie together, so memory is read as one stream. What is left is measured in one tile, which is in the cache by
/// then, while the next is read. Products are rounded to float32 and summed in float32 over 64 numbers, in float64 beyond. Results do not
/// depend on the number of threads.</remarks>
internal static unsafe class RowSweep
{
    private const int Width = 1024; // a hundred rows of it fit in a cache of the second level

    /// <summary>The columns b of a tile for vectors of d numbers.</summary>
    public static long TileWidth(long d) => Math.Min(Width, d);

    /// <summary>Whether these are float32 and dense on the CPU.</summary>
    public static bool IsUsable(Tensor tiles, Tensor w) => IsDense(tiles) && IsDense(w);

    /// <param name="tiles">V : [n, k, b], with b of <see cref="TileWidth"/>.</param>
    /// <param name="chosen">The indices i; other rows are not read.</param>
    /// <param name="coefficients">cᵢ, by the index of the row.</param>
    /// <param name="w">[d], changed in place.</param>
    /// <param name="along">Receives hᵢ, by the index of the row; that of other rows is left as it is. May be the coefficients.</param>
    /// <returns>w'w.</returns>
    public static double Run(Tensor tiles, ReadOnlySpan<int> chosen, ReadOnlySpan<double> coefficients, Tensor w, Span<double> along)
    {
        long d = w.numel(),
            width = TileWidth(d);
        int count = chosen.Length,
            chunks = SweepPass.Chunks(d);
        double[] sums = ArrayPool<double>.Shared.Rent((count + 1) * chunks);
        var segment = new SweepSegment
        {
            W = LibTorch.DataPointer(w.Handle),
            Length = d,
            End = d,
        };
        long[] offsets = new long[count];
        float[] scales = new float[count];
        for (int i = 0; i < count; i++)
        {
            offsets[i] = chosen[i] * width;
            scales[i] = (float)-coefficients[chosen[i]];
        }
        double squares = 0;
        fixed (double* partial = sums)
        fixed (long* offset = offsets)
        fixed (float* scale = scales)
        {
            float* first = (float*)LibTorch.DataPointer(tiles.Handle);
            var pass = new Pass(first, width, tiles.size(1) * width, count, offset, scale, partial);
            SweepPass.Run(pass, &segment, d, partial + ((long)count * chunks));
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
        GC.KeepAlive(tiles);
        GC.KeepAlive(w);
        return squares;
    }

    private static bool IsDense(Tensor t) =>
        LibTorch.Type(t.Handle) == ScalarType.Float32 && LibTorch.Device(t.Handle) == DeviceType.CPU && LibTorch.IsContiguous(t.Handle);

    private readonly struct Pass(float* tiles, long width, long stride, int count, long* offsets, float* scales, double* along) : ISweepPass
    {
        private const int Lanes = 16;
        private readonly float* _tiles = tiles;
        private readonly long _width = width, // of a tile
            _stride = stride; // from a tile to the next
        private readonly int _count = count;
        private readonly long* _offsets = offsets; // of the rows in a tile
        private readonly float* _scales = scales;
        private readonly double* _along = along;

        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            double* h = _along + (_count * (from / SweepPass.ChunkSize));
            new Span<double>(h, _count).Clear();
            float* w = (float*)segment->W + from,
                tile = _tiles + (from / _width * _stride);
            long left = to - from;
            TakeAll(tile, w, Math.Min(_width, left));
            for (; left > 0; left -= _width, w += _width, tile += _stride)
            {
                long n = Math.Min(_width, left),
                    next = Math.Clamp(left - _width, 0, _width);
                int i = 0;
                for (; i + 4 <= _count; i += 4)
                    if (next == Width)
                        DotsAndTake(tile, _stride, _offsets + i, _scales + i, w, h + i);
                    else
                    {
                        Dots(tile, _offsets + i, w, n, h + i);
                        Take(tile + _stride, _offsets + i, _scales + i, w + _width, next);
                    }
                for (; i < _count; i++)
                {
                    h[i] += Dot(tile + _offsets[i], w, n);
                    TakeOne(tile + _stride + _offsets[i], _scales[i], w + _width, next);
                }
                sum += Squares(w, n);
            }
        }

        private void TakeAll(float* tile, float* w, long n)
        {
            int i = 0;
            for (; i + 4 <= _count; i += 4)
                Take(tile, _offsets + i, _scales + i, w, n);
            for (; i < _count; i++)
                TakeOne(tile + _offsets[i], _scales[i], w, n);
        }

        /// <summary>Measures four rows of a whole tile, and takes those of the next, which is whole.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void DotsAndTake(float* tile, long stride, long* offsets, float* scales, float* w, double* h)
        {
            float* a = tile + offsets[0],
                b = tile + offsets[1],
                c = tile + offsets[2],
                d = tile + offsets[3];
            Vector256<float> p = Vector256.Create(scales[0]),
                q = Vector256.Create(scales[1]),
                r = Vector256.Create(scales[2]),
                s = Vector256.Create(scales[3]);
            Vector256<float> a0 = default,
                b0 = default,
                c0 = default,
                d0 = default,
                a1 = default,
                b1 = default,
                c1 = default,
                d1 = default;
            for (long x = 0, y = stride; x < Width; x += Lanes, y += Lanes)
            {
                Vector256<float> u = Vector256.Load(w + x + Width),
                    v = Vector256.Load(w + x + Width + 8);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(a + y), p, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(a + y + 8), p, v);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(b + y), q, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(b + y + 8), q, v);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(c + y), r, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(c + y + 8), r, v);
                u = Vector256.FusedMultiplyAdd(Vector256.Load(d + y), s, u);
                v = Vector256.FusedMultiplyAdd(Vector256.Load(d + y + 8), s, v);
                u.Store(w + x + Width);
                v.Store(w + x + Width + 8);
                u = Vector256.Load(w + x);
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
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Take(float* tile, long* offsets, float* scales, float* w, long n)
        {
            float* a = tile + offsets[0],
                b = tile + offsets[1],
                c = tile + offsets[2],
                d = tile + offsets[3];
            long x = 0;
            if (scales[0] == 0 && scales[1] == 0 && scales[2] == 0 && scales[3] == 0)
                return;
            Vector256<float> p = Vector256.Create(scales[0]),
                q = Vector256.Create(scales[1]),
                r = Vector256.Create(scales[2]),
                s = Vector256.Create(scales[3]);
            for (; x <= n - Lanes; x += Lanes)
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
            for (; x < n; x++)
                w[x] += scales[0] * a[x] + scales[1] * b[x] + scales[2] * c[x] + scales[3] * d[x];
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void TakeOne(float* row, float scale, float* w, long n)
        {
            long x = 0;
            if (scale == 0)
                return;
            var p = Vector256.Create(scale);
            for (; x <= n - 8; x += 8)
                Vector256.FusedMultiplyAdd(Vector256.Load(row + x), p, Vector256.Load(w + x)).Store(w + x);
            for (; x < n; x++)
                w[x] += scale * row[x];
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Dots(float* tile, long* offsets, float* w, long n, double* h)
        {
            float* a = tile + offsets[0],
                b = tile + offsets[1],
                c = tile + offsets[2],
                d = tile + offsets[3];
            long x = 0;
            Vector256<float> a0 = default,
                b0 = default,
                c0 = default,
                d0 = default,
                a1 = default,
                b1 = default,
                c1 = default,
                d1 = default;
            for (; x <= n - Lanes; x += Lanes)
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
            for (; x < n; x++)
            {
                h[0] += (double)a[x] * w[x];
                h[1] += (double)b[x] * w[x];
                h[2] += (double)c[x] * w[x];
                h[3] += (double)d[x] * w[x];
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static double Dot(float* row, float* w, long n)
        {
            long x = 0;
            Vector256<float> low = default,
                high = default;
            for (; x <= n - Lanes; x += Lanes)
            {
                low = Vector256.FusedMultiplyAdd(Vector256.Load(row + x), Vector256.Load(w + x), low);
                high = Vector256.FusedMultiplyAdd(Vector256.Load(row + x + 8), Vector256.Load(w + x + 8), high);
            }
            double sum = Sum(low, high);
            for (; x < n; x++)
                sum += (double)row[x] * w[x];
            return sum;
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static double Squares(float* w, long n)
        {
            long x = 0;
            Vector256<double> low = default,
                high = default;
            for (; x <= n - 8; x += 8)
            {
                var (u, v) = Vector256.Widen(Vector256.Load(w + x));
                (low, high) = (low + u * u, high + v * v);
            }
            double sum = Sum(low) + Sum(high);
            for (; x < n; x++)
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
