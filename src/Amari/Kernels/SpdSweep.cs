using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>The inverse of a symmetric positive definite float32 matrix by sweeps of diagonal blocks (Goodnight 1979, A tutorial on the
/// SWEEP operator, The American Statistician 33).</summary>
/// <remarks><code>
/// for each diagonal block k:   Mₖₖ = L L',   X = L⁻¹,   Uᵢ = Mᵢₖ X',   Vᵢ = Uᵢ X
///     Mᵢⱼ ← Mᵢⱼ - Uᵢ Uⱼ'   i, j ≠ k,   Mᵢₖ ← Vᵢ,   Mₖₖ ← -X'X          at the end M is -M⁻¹
/// </code>What is subtracted from the rows that are still to come are the products of Cholesky's factorisation, so it is as stable. (With
/// Vᵢ Mⱼₖ' in place of Uᵢ Uⱼ', which is the same, errors would grow with the condition number of the blocks.) About n³ operations are as
/// many as those of LAPACK's factorisation and inverse together. But all of them are one kind of product, of tiles in registers, below the
/// diagonal; X is computed in float64. Results do not depend on the number of threads.</remarks>
internal static unsafe class SpdSweep
{
    private const int Block = 96, // a multiple of the rows and columns of all tiles
        Apart = 16, // numbers of a cache line
        LeastShared = 192; // rows from which the work is worth a second thread
    private const double Rounding = 6e-8; // of float32

    /// <summary>Whether a matrix can be inverted so: float32, dense on the CPU, [n, n], and a processor with wide registers.</summary>
    public static bool IsUsable(Tensor matrix) =>
        (Avx512F.IsSupported || Fma.IsSupported)
        && LibTorch.Type(matrix.Handle) == ScalarType.Float32
        && LibTorch.Device(matrix.Handle) == DeviceType.CPU
        && LibTorch.Dimensions(matrix.Handle) == 2
        && LibTorch.IsContiguous(matrix.Handle);

    /// <summary>(M + s I)⁻¹, finite, and symmetric to the last bit; null if M + s I is not positive definite up to rounding. The caller
    /// owns it.</summary>
    /// <param name="matrix">M, as <see cref="IsUsable"/> says; what is above its diagonal is not read.</param>
    /// <param name="shift">s.</param>
    public static Tensor? Inverse(Tensor matrix, float shift = 0) =>
        Avx512F.IsSupported ? Inverse<Lanes512>(matrix, shift) : Inverse<Lanes256>(matrix, shift);

    /// <summary>The same in registers of a width; the bits are those of any other.</summary>
    internal static Tensor? Inverse<L>(Tensor matrix, float shift = 0)
        where L : unmanaged, ILanes<L>
    {
        long n = matrix.shape[0],
            rows = RoundUp(n, Tile<L>.Rows),
            columns = RoundUp(n, Tile<L>.Columns),
            stride = columns + Apart; // no power of two, where rows would take each other's places in the cache
        int threads = n < LeastShared ? 1 : get_num_threads();
        long numbers = (rows * stride) + ((rows + columns + (2 * Block)) * Block);
        long bytes = checked((numbers * sizeof(float)) + (2 * Block * Block * sizeof(double)));
        float* memory = (float*)NativeHeap.Take(bytes),
            work = memory + (rows * stride);
        double* diagonal = (double*)(memory + numbers);
        try
        {
            var sweep = new Sweep
            {
                Matrix = memory,
                Right = work,
                Factor = work + (columns * Block),
                Transposed = work + ((columns + Block) * Block),
                Left = work + ((columns + (2 * Block)) * Block),
                Size = n,
                Rows = rows,
                Stride = stride,
            };
            float* from = (float*)LibTorch.DataPointer(matrix.Handle);
            for (long i = 0; i < n; i++)
            {
                Buffer.MemoryCopy(from + (i * n), memory + (i * stride), stride * sizeof(float), (i + 1) * sizeof(float));
                memory[i * (stride + 1)] += shift;
            }
            new Span<float>(memory + (n * stride), (int)((rows - n) * stride)).Clear();
            GC.KeepAlive(matrix);
            for (long first = 0; first < n; first += Block)
            {
                (sweep.First, sweep.Width) = (first, Math.Min(Block, n - first));
                if (!InvertPivot<L>(sweep, diagonal))
                    return null;
                Share(&sweep, threads, &Prepare<L>);
                Share(&sweep, threads, &Update<L>);
            }
            for (long i = 0; i < n; i++) // no entry is larger than those of the diagonal
                if (!float.IsFinite(memory[i * (stride + 1)]))
                    return null;
            var inverse = empty_like(matrix);
            sweep.Inverse = (float*)LibTorch.DataPointer(inverse.Handle);
            Share(&sweep, threads, &Mirror);
            return inverse;
        }
        finally
        {
            NativeHeap.Give(memory, bytes);
        }
    }

    /// <summary>What the threads share.</summary>
    private struct Sweep
    {
        public float* Matrix, // M : [Rows, Stride], of which the lower triangle counts
            Left, // -U in strips of rows
            Right, // U' in strips of columns
            Factor, // X in strips of rows
            Transposed, // X'
            Inverse; // the result : [n, n]
        public long Size,
            Rows,
            Stride,
            First, // of the block k
            Width;
    }

    /// <summary>Work is taken by strips; apart from what is only read.</summary>
    private struct Job
    {
        public Sweep* Sweep;
        public long Taken;

        public long Next() => Interlocked.Increment(ref Taken) - 1;
    }

    private static void Share(Sweep* sweep, int threads, delegate* <int, nint, void> body)
    {
        var job = new Job { Sweep = sweep };
        OpenMp.Run(threads, body, (nint)(&job));
    }

    private static long RoundUp(long n, long unit) => (n + unit - 1) / unit * unit;

    /// <summary>X and X' into their strips; false if a pivot is not positive.</summary>
    /// <param name="sweep">The block's place.</param>
    /// <param name="rows">(M, X), one beside the other in rows of 2 <see cref="Block"/>.</param>
    private static bool InvertPivot<L>(in Sweep sweep, double* rows)
        where L : unmanaged, ILanes<L>
    {
        const long Rows = Tile<L>.Rows;
        long width = sweep.Width;
        float* block = sweep.Matrix + (sweep.First * (sweep.Stride + 1));
        new Span<double>(rows, 2 * Block * Block).Clear();
        for (long i = 0; i < width; i++)
        for (long j = 0; j <= i; j++)
            rows[(j * 2 * Block) + i] = block[(i * sweep.Stride) + j];
        if (!InvertFactor(rows, width, RoundUp(width, Vector256<double>.Count), block, sweep.Stride + 1))
            return false;
        double* x = rows + RoundUp(width, Vector256<double>.Count);
        float* factor = sweep.Factor,
            transposed = sweep.Transposed;
        for (long first = 0; first < width; first += Rows)
        for (long k = 0; k < width; k++)
        for (long i = first; i < first + Rows; i++, factor++, transposed++)
            (*factor, *transposed) = i < width ? ((float)x[(i * 2 * Block) + k], (float)x[(k * 2 * Block) + i]) : (0, 0);
        return true;
    }

    /// <summary>X = L⁻¹ by elimination of the rows of (M, I).</summary>
    /// <param name="rows">M on and above the diagonal, which is overwritten, and zeros; receives X.</param>
    /// <param name="width">Rows.</param>
    /// <param name="at">The column in which X begins.</param>
    /// <param name="diagonal">Of M; a pivot that is no more than its rounding is none.</param>
    /// <param name="apart">From a number of the diagonal to the next.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool InvertFactor(double* rows, long width, long at, float* diagonal, long apart)
    {
        const long Stride = 2 * Block;
        for (long k = 0; k < width; k++)
        {
            double* row = rows + (k * Stride);
            double pivot = row[k];
            if (!(pivot > Rounding * diagonal[k * apart] && double.IsFinite(pivot)))
                return false;
            row[at + k] = 1;
            double reciprocal = 1 / pivot;
            for (long i = k + 1; i < width; i++)
            {
                double* other = rows + (i * Stride);
                var scale = Vector256.Create(-row[i] * reciprocal);
                // whole registers: what is left of the diagonal is not used, and right of X are zeros
                for (long j = i & ~3; j <= at + k; j += Vector256<double>.Count)
                    Vector256.FusedMultiplyAdd(scale, Vector256.Load(row + j), Vector256.Load(other + j)).Store(other + j);
            }
        }
        for (long k = 0; k < width; k++)
        {
            double* row = rows + (k * Stride);
            double root = 1 / Math.Sqrt(row[k]);
            for (long j = at; j <= at + k; j++)
                row[j] *= root;
        }
        return true;
    }

    /// <summary>Takes strips of columns i: U' = X Mᵢₖ', and V in its place. The block's own Mᵢₖ are those of the identity, which makes
    /// their V X'X.</summary>
    private static void Prepare<L>(int thread, nint data)
        where L : unmanaged, ILanes<L>
    {
        const int Rows = Tile<L>.Rows,
            Most = 32; // columns of a strip
        var job = (Job*)data;
        var sweep = *job->Sweep;
        int columns = Tile<L>.Columns;
        long width = sweep.Width,
            padded = RoundUp(width, Rows);
        float* w = stackalloc float[Most * Block],
            v = stackalloc float[Most * Block];
        for (long start; (start = job->Next() * columns) < sweep.Rows; )
        {
            bool isPivot = start >= sweep.First && start < sweep.First + width;
            Gather(sweep, start, columns, w);
            float* u = sweep.Right + (start * padded);
            Span<float> right = new(u, (int)(columns * padded)),
                image = new(v, (int)(columns * padded));
            right.Clear();
            image.Clear();
            for (long k = 0; k < width; k += Rows) // X is 0 above its diagonal, and X' below
                Tile<L>.Add(sweep.Factor + (k * width), w, Math.Min(width, k + Rows), u + (k * columns), columns);
            for (long k = 0; k < width; k += Rows)
                Tile<L>.Add(sweep.Transposed + (k * (width + Rows)), u + (k * columns), width - k, v + (k * columns), columns);
            for (int c = 0; c < columns && start + c < sweep.Rows; c++)
            {
                long i = start + c;
                float* left = sweep.Left + (i / Rows * Rows * width) + (i % Rows);
                for (long k = 0; k < width; k++)
                    left[k * Rows] = isPivot ? 0 : -u[(k * columns) + c];
            }
            Put(sweep, start, columns, v);
        }
    }

    /// <summary>Mᵢₖ' of a strip of columns i : [width, columns].</summary>
    private static void Gather(in Sweep sweep, long start, int columns, float* w)
    {
        float* m = sweep.Matrix + sweep.First;
        var (first, width) = (sweep.First, sweep.Width);
        if (start < first)
            for (long k = 0; k < width; k++)
                new Span<float>(sweep.Matrix + ((first + k) * sweep.Stride) + start, columns).CopyTo(new(w + (k * columns), columns));
        else if (start >= first + width)
            for (int c = 0; c < columns; c++)
            for (long k = 0; k < width; k++)
                w[(k * columns) + c] = start + c < sweep.Size ? m[((start + c) * sweep.Stride) + k] : 0;
        else
        {
            new Span<float>(w, (int)(width * columns)).Clear();
            for (int c = 0; c < columns && start + c < first + width; c++)
                w[((start + c - first) * columns) + c] = 1;
        }
    }

    /// <summary>V' : [width, columns] into the place of Mᵢₖ', or -V' into that of the block itself.</summary>
    private static void Put(in Sweep sweep, long start, int columns, float* v)
    {
        float* m = sweep.Matrix + sweep.First;
        var (first, width) = (sweep.First, sweep.Width);
        if (start < first)
            for (long k = 0; k < width; k++)
                new Span<float>(v + (k * columns), columns).CopyTo(new(sweep.Matrix + ((first + k) * sweep.Stride) + start, columns));
        else
            for (long c = 0, end = Math.Min(columns, sweep.Size - start); c < end; c++)
            {
                float* row = m + ((start + c) * sweep.Stride);
                if (start >= first + width)
                    for (long k = 0; k < width; k++)
                        row[k] = v[(k * columns) + c];
                else
                    for (long k = 0; k <= start + c - first; k++)
                        row[k] = -v[(k * columns) + c];
            }
    }

    /// <summary>Takes strips of columns: their tiles from the diagonal down.</summary>
    private static void Update<L>(int thread, nint data)
        where L : unmanaged, ILanes<L>
    {
        const int Rows = Tile<L>.Rows;
        var job = (Job*)data;
        var sweep = *job->Sweep;
        int columns = Tile<L>.Columns;
        long width = sweep.Width,
            padded = RoundUp(width, Rows);
        for (long start; (start = job->Next() * columns) < sweep.Size; )
        {
            if (start >= sweep.First && start < sweep.First + width)
                continue;
            float* u = sweep.Right + (start * padded);
            for (long row = start / Rows * Rows; row < sweep.Rows; row += Rows)
                Tile<L>.Add(sweep.Left + (row * width), u, width, sweep.Matrix + (row * sweep.Stride) + start, sweep.Stride);
        }
    }

    /// <summary>Takes blocks of rows: the result, on both sides of the diagonal.</summary>
    private static void Mirror(int thread, nint data)
    {
        const long Edge = 32;
        var job = (Job*)data;
        var sweep = *job->Sweep;
        long n = sweep.Size;
        for (long row; (row = job->Next() * Edge) < n; )
        {
            long rows = Math.Min(n, row + Edge);
            for (long column = 0; column < rows; column += Edge)
            for (long i = row; i < rows; i++)
            {
                float* from = sweep.Matrix + (i * sweep.Stride);
                for (long j = column, end = Math.Min(column + Edge, i + 1); j < end; j++)
                    sweep.Inverse[(i * n) + j] = sweep.Inverse[(j * n) + i] = -from[j];
            }
        }
    }
}
