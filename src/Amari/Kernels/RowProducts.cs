using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>Products of few long float32 rows with each other, and of a small triangular matrix with them: one parallel pass over
/// memory.</summary>
/// <remarks>Results do not depend on the number of threads nor on the width of registers.</remarks>
internal static unsafe class RowProducts
{
    private const int MostRows = 64; // more fill the registers of a library of matrix products
    private const int TileRows = 4,
        TileColumns = 2;

    /// <summary>Whether rows are few, float32 and dense on the CPU.</summary>
    public static bool IsUsable(Tensor rows) =>
        rows.dim() == 2
        && rows.shape[0] is > 0 and <= MostRows
        && LibTorch.Type(rows.Handle) == ScalarType.Float32
        && LibTorch.Device(rows.Handle) == DeviceType.CPU
        && LibTorch.IsContiguous(rows.Handle);

    /// <summary>A B' for A : [k, d] and B : [l, d]: [k, l] in float64, row by row.</summary>
    /// <param name="a">A.</param>
    /// <param name="b">B; if it is A, only half is computed.</param>
    /// <param name="exact">Products and sums in float64. Otherwise in float32 over 128 numbers, and in float64 beyond.</param>
    public static double[,] Of(Tensor a, Tensor b, bool exact)
    {
        int k = (int)a.shape[0],
            l = (int)b.shape[0];
        long d = a.shape[1];
        int chunks = SweepPass.Chunks(d);
        var product = new double[k, l];
        double[] sums = ArrayPool<double>.Shared.Rent(checked(((k * l) + 1) * chunks));
        var segment = new SweepSegment { Length = d, End = d };
        nint left = LibTorch.DataPointer(a.Handle),
            right = LibTorch.DataPointer(b.Handle);
        fixed (double* partial = sums)
        fixed (double* whole = product)
        {
            SweepPass.Run(
                new Products((float*)left, (float*)right, k, l, d, left == right && k == l, exact, partial),
                &segment,
                d,
                partial + ((long)k * l * chunks)
            );
            for (int chunk = 0; chunk < chunks; chunk++)
            for (int i = 0; i < k * l; i++)
                whole[i] += partial[((long)chunk * k * l) + i];
            if (left == right && k == l)
                for (int i = 0; i < k; i++)
                for (int j = i + 1; j < k; j++)
                    whole[(i * k) + j] = whole[(j * k) + i];
        }
        ArrayPool<double>.Shared.Return(sums);
        GC.KeepAlive(a);
        GC.KeepAlive(b);
        return product;
    }

    /// <summary>Y ← L Y, computed in float64.</summary>
    /// <param name="lower">L : [k, k], lower triangular, row by row; what is above its diagonal is not read.</param>
    /// <param name="rows">Y : [k, d], usable.</param>
    public static void Transform(double[] lower, Tensor rows)
    {
        int k = (int)rows.shape[0];
        long d = rows.shape[1];
        // to whole tiles, with zeros above the diagonal and below the last row
        int padded = (k + TileRows - 1) / TileRows * TileRows;
        var matrix = new double[padded * padded];
        for (int i = 0; i < k; i++)
        for (int j = 0; j <= i; j++)
            matrix[(i * padded) + j] = lower[(i * k) + j];
        double[] sums = ArrayPool<double>.Shared.Rent(SweepPass.Chunks(d));
        var segment = new SweepSegment { Length = d, End = d };
        fixed (double* m = matrix)
        fixed (double* partial = sums)
            SweepPass.Run(new Transformation((float*)LibTorch.DataPointer(rows.Handle), k, padded, d, m), &segment, d, partial);
        ArrayPool<double>.Shared.Return(sums);
        GC.KeepAlive(rows);
    }

    private readonly struct Products(float* a, float* b, int k, int l, long d, bool symmetric, bool exact, double* sums) : ISweepPass
    {
        private const int Block = 1024; // columns: sixty rows of it fit in a cache of the second level
        private readonly float* _a = a,
            _b = b;
        private readonly int _k = k,
            _l = l;
        private readonly long _d = d;
        private readonly bool _symmetric = symmetric,
            _exact = exact;
        private readonly double* _sums = sums;

        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            double* h = _sums + ((long)_k * _l * (from / SweepPass.ChunkSize));
            new Span<double>(h, _k * _l).Clear();
            float** rows = stackalloc float*[TileRows + TileColumns];
            double* tile = stackalloc double[TileRows * TileColumns];
            for (long start = from; start < to; start += Block)
            {
                long end = Math.Min(start + Block, to);
                for (int i = 0; i < _k; i += TileRows)
                for (int j = 0; j < _l && (!_symmetric || j < i + TileRows); j += TileColumns)
                {
                    // a row beyond the last is the last again
                    for (int r = 0; r < TileRows; r++)
                        rows[r] = _a + (_d * Math.Min(i + r, _k - 1));
                    for (int r = 0; r < TileColumns; r++)
                        rows[TileRows + r] = _b + (_d * Math.Min(j + r, _l - 1));
                    if (_exact)
                        Double(rows, start, end, tile);
                    else
                        Single(rows, start, end, tile);
                    for (int r = 0; r < TileRows && i + r < _k; r++)
                    for (int c = 0; c < TileColumns && j + c < _l; c++)
                        h[((i + r) * _l) + j + c] += tile[(r * TileColumns) + c];
                }
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Single(float** rows, long x, long end, double* tile)
        {
            float* a = rows[0],
                b = rows[1],
                c = rows[2],
                d = rows[3],
                p = rows[4],
                q = rows[5];
            Vector256<float> ap = default,
                aq = default,
                bp = default,
                bq = default,
                cp = default,
                cq = default,
                dp = default,
                dq = default;
            for (; x <= end - 8; x += 8)
            {
                Vector256<float> u = Vector256.Load(p + x),
                    v = Vector256.Load(q + x),
                    w = Vector256.Load(a + x);
                ap = Vector256.FusedMultiplyAdd(w, u, ap);
                aq = Vector256.FusedMultiplyAdd(w, v, aq);
                w = Vector256.Load(b + x);
                bp = Vector256.FusedMultiplyAdd(w, u, bp);
                bq = Vector256.FusedMultiplyAdd(w, v, bq);
                w = Vector256.Load(c + x);
                cp = Vector256.FusedMultiplyAdd(w, u, cp);
                cq = Vector256.FusedMultiplyAdd(w, v, cq);
                w = Vector256.Load(d + x);
                dp = Vector256.FusedMultiplyAdd(w, u, dp);
                dq = Vector256.FusedMultiplyAdd(w, v, dq);
            }
            (tile[0], tile[1], tile[2], tile[3]) = (Sum(ap), Sum(aq), Sum(bp), Sum(bq));
            (tile[4], tile[5], tile[6], tile[7]) = (Sum(cp), Sum(cq), Sum(dp), Sum(dq));
            Rest(rows, x, end, tile);
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Double(float** rows, long x, long end, double* tile)
        {
            float* a = rows[0],
                b = rows[1],
                c = rows[2],
                d = rows[3],
                p = rows[4],
                q = rows[5];
            Vector256<double> ap = default,
                aq = default,
                bp = default,
                bq = default,
                cp = default,
                cq = default,
                dp = default,
                dq = default;
            for (; x <= end - 4; x += 4)
            {
                Vector256<double> u = Wide(p + x),
                    v = Wide(q + x),
                    w = Wide(a + x);
                ap = Vector256.FusedMultiplyAdd(w, u, ap);
                aq = Vector256.FusedMultiplyAdd(w, v, aq);
                w = Wide(b + x);
                bp = Vector256.FusedMultiplyAdd(w, u, bp);
                bq = Vector256.FusedMultiplyAdd(w, v, bq);
                w = Wide(c + x);
                cp = Vector256.FusedMultiplyAdd(w, u, cp);
                cq = Vector256.FusedMultiplyAdd(w, v, cq);
                w = Wide(d + x);
                dp = Vector256.FusedMultiplyAdd(w, u, dp);
                dq = Vector256.FusedMultiplyAdd(w, v, dq);
            }
            (tile[0], tile[1], tile[2], tile[3]) = (Sum(ap), Sum(aq), Sum(bp), Sum(bq));
            (tile[4], tile[5], tile[6], tile[7]) = (Sum(cp), Sum(cq), Sum(dp), Sum(dq));
            Rest(rows, x, end, tile);
        }

        private static void Rest(float** rows, long x, long end, double* tile)
        {
            for (; x < end; x++)
            for (int r = 0; r < TileRows; r++)
            for (int c = 0; c < TileColumns; c++)
                tile[(r * TileColumns) + c] += (double)rows[r][x] * rows[TileRows + c][x];
        }

        private static double Sum(Vector256<float> v)
        {
            var (low, high) = Vector256.Widen(v);
            return Sum(low + high);
        }

        private static double Sum(Vector256<double> v) => v[0] + v[1] + (v[2] + v[3]); // Vector256.Sum's order is the hardware's
    }

    private readonly struct Transformation(float* rows, int k, int padded, long d, double* matrix) : ISweepPass
    {
        private const int Block = 32; // columns: sixty rows of it in float64 fit in a cache of the first level
        private readonly float* _rows = rows;
        private readonly int _k = k,
            _padded = padded;
        private readonly long _d = d;
        private readonly double* _matrix = matrix;

        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            double* old = stackalloc double[MostRows * Block];
            double* tile = stackalloc double[TileRows * Block];
            for (long start = from; start < to; start += Block)
            {
                int count = (int)Math.Min(Block, to - start);
                for (int i = 0; i < _k; i++)
                    Widen(_rows + (_d * i) + start, old + (i * Block), count);
                for (int i = 0; i < _k; i += TileRows)
                {
                    int terms = Math.Min(i + TileRows, _k);
                    for (int x = 0; x < count; x += 8)
                        Rows(_matrix + (i * _padded), _padded, old + x, terms, tile + x);
                    for (int r = 0; r < TileRows && i + r < _k; r++)
                        Narrow(tile + (r * Block), _rows + (_d * (i + r)) + start, count);
                }
            }
        }

        /// <summary>Eight columns of four rows of L Y.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Rows(double* m, int stride, double* old, int terms, double* tile)
        {
            Vector256<double> a0 = default,
                a1 = default,
                b0 = default,
                b1 = default,
                c0 = default,
                c1 = default,
                d0 = default,
                d1 = default;
            for (int j = 0; j < terms; j++)
            {
                Vector256<double> u = Vector256.Load(old + (j * Block)),
                    v = Vector256.Load(old + (j * Block) + 4),
                    w = Vector256.Create(m[j]);
                a0 = Vector256.FusedMultiplyAdd(w, u, a0);
                a1 = Vector256.FusedMultiplyAdd(w, v, a1);
                w = Vector256.Create(m[stride + j]);
                b0 = Vector256.FusedMultiplyAdd(w, u, b0);
                b1 = Vector256.FusedMultiplyAdd(w, v, b1);
                w = Vector256.Create(m[(2 * stride) + j]);
                c0 = Vector256.FusedMultiplyAdd(w, u, c0);
                c1 = Vector256.FusedMultiplyAdd(w, v, c1);
                w = Vector256.Create(m[(3 * stride) + j]);
                d0 = Vector256.FusedMultiplyAdd(w, u, d0);
                d1 = Vector256.FusedMultiplyAdd(w, v, d1);
            }
            a0.Store(tile);
            a1.Store(tile + 4);
            b0.Store(tile + Block);
            b1.Store(tile + Block + 4);
            c0.Store(tile + (2 * Block));
            c1.Store(tile + (2 * Block) + 4);
            d0.Store(tile + (3 * Block));
            d1.Store(tile + (3 * Block) + 4);
        }

        private static void Widen(float* from, double* to, int count)
        {
            int x = 0;
            for (; x <= count - 4; x += 4)
                Wide(from + x).Store(to + x);
            for (; x < count; x++)
                to[x] = from[x];
        }

        private static void Narrow(double* from, float* to, int count)
        {
            int x = 0;
            for (; x <= count - 8; x += 8)
                Vector256.Narrow(Vector256.Load(from + x), Vector256.Load(from + x + 4)).Store(to + x);
            for (; x < count; x++)
                to[x] = (float)from[x];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<double> Wide(float* from)
    {
        if (Avx.IsSupported)
            return Avx.ConvertToVector256Double(Vector128.Load(from));
        var (low, high) = Vector128.Widen(Vector128.Load(from));
        return Vector256.Create(low, high);
    }
}
