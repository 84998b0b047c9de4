using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>A step with momentum for many parameters in one parallel pass, where a momentum lies in the rows of a wider matrix.</summary>
/// <remarks><code>
/// b ← μ b + α u,   w ← (1 - d) w - η b
/// </code>The momentum of a weight and of its bias are columns of one matrix [out, in+1]; the parameters are dense. Takes float32 on the
/// CPU. Results do not depend on the number of threads nor on the width of registers.</remarks>
internal sealed unsafe class MomentumSweep
{
    private readonly List<(Tensor W, Tensor B, Tensor U)> _kept = []; // while their addresses are in use
    private SweepSegment[] _segments = new SweepSegment[16];
    private Row[] _rows = new Row[16];
    private double[] _sums = [];
    private long _end;
    private int _count;

    /// <summary>Numbers computed side by side; tests choose fewer than the hardware has.</summary>
    public int Width { get; init; } =
        Vector512.IsHardwareAccelerated ? 16
        : Vector256.IsHardwareAccelerated ? 8
        : 1;

    /// <summary>A parameter's rule as the kernel has it, and where its momentum lies.</summary>
    private struct Row
    {
        public float Mu,
            Alpha,
            Rate,
            Keep; // 1 - d
        public long Columns,
            Stride;
    }

    /// <summary>μ, α, η and d of a step.</summary>
    /// <param name="Momentum">μ.</param>
    /// <param name="Alpha">α.</param>
    /// <param name="Rate">η.</param>
    /// <param name="Decay">d.</param>
    public readonly record struct Rule(double Momentum, double Alpha, double Rate, double Decay);

    /// <summary>Where the momentum of a parameter lies in that of its block.</summary>
    /// <param name="Offset">Of its first number.</param>
    /// <param name="Columns">Numbers side by side.</param>
    /// <param name="Stride">From one row to the next.</param>
    public readonly record struct Place(long Offset, long Columns, long Stride)
    {
        /// <summary>The place of a view in the tensor that it is of; null where it is a copy, or its numbers lie otherwise.</summary>
        /// <param name="whole">Contiguous.</param>
        /// <param name="part">Shaped as the parameter.</param>
        public static Place? Of(Tensor whole, Tensor part)
        {
            long size = whole.ElementSize,
                offset = (LibTorch.DataPointer(part.Handle) - LibTorch.DataPointer(whole.Handle)) / size,
                columns = 1;
            long[] shape = part.shape,
                strides = part.stride();
            if (shape.Length == 0 || part.numel() == 0 || offset < 0 || offset >= whole.numel())
                return null;
            for (int i = shape.Length - 1; i > 0; i--)
            {
                if (shape[i] > 1 && strides[i] != columns)
                    return null;
                columns *= shape[i];
            }
            return new(offset, columns, shape[0] > 1 ? strides[0] : columns);
        }
    }

    /// <summary>Whether a tensor is float32 and dense on the CPU.</summary>
    public static bool IsUsable(Tensor t) =>
        LibTorch.Type(t.Handle) == ScalarType.Float32 && LibTorch.Device(t.Handle) == DeviceType.CPU && LibTorch.IsContiguous(t.Handle);

    /// <summary>Adds a parameter. The tensors must be usable, and stay alive until <see cref="Run"/> is over.</summary>
    /// <param name="w">The parameter.</param>
    /// <param name="b">The momentum of its block.</param>
    /// <param name="u">The direction of its block, of the momentum's shape.</param>
    /// <param name="place">Of the parameter in both.</param>
    /// <param name="by">The numbers of its step.</param>
    public void Add(Tensor w, Tensor b, Tensor u, Place place, Rule by)
    {
        if (_count == _segments.Length)
        {
            Array.Resize(ref _segments, 2 * _count);
            Array.Resize(ref _rows, 2 * _count);
        }
        long length = LibTorch.Count(w.Handle);
        _rows[_count] = new()
        {
            Mu = (float)by.Momentum,
            Alpha = (float)by.Alpha,
            Rate = (float)by.Rate,
            Keep = (float)(1 - by.Decay),
            Columns = place.Columns,
            Stride = place.Stride,
        };
        _segments[_count] = new()
        {
            W = LibTorch.DataPointer(w.Handle),
            G = LibTorch.DataPointer(u.Handle) + (nint)(place.Offset * sizeof(float)),
            S = LibTorch.DataPointer(b.Handle) + (nint)(place.Offset * sizeof(float)),
            Start = _end,
            Length = length,
            Step = _count, // its row
        };
        _end += (length + SweepPass.Align - 1) & -SweepPass.Align;
        _segments[_count++].End = _end;
        _kept.Add((w, b, u));
    }

    /// <summary>Steps all that was added, and forgets it.</summary>
    public void Run()
    {
        int chunks = SweepPass.Chunks(_end);
        if (_sums.Length < chunks)
            _sums = new double[chunks];
        if (chunks > 0)
            fixed (SweepSegment* segments = _segments)
            fixed (Row* rows = _rows)
            fixed (double* sums = _sums)
            {
                if (Width == 16)
                    SweepPass.Run(new Pass<Lanes512>(rows), segments, _end, sums);
                else if (Width == 8)
                    SweepPass.Run(new Pass<Lanes256>(rows), segments, _end, sums);
                else
                    SweepPass.Run(new Pass<Lanes1>(rows), segments, _end, sums);
            }
        GC.KeepAlive(_kept);
        Clear();
    }

    /// <summary>Forgets what was added.</summary>
    public void Clear()
    {
        _kept.Clear();
        (_end, _count) = (0, 0);
    }

    private readonly struct Pass<L>(Row* rows) : ISweepPass
        where L : unmanaged, ILanes<L>
    {
        private readonly Row* _rows = rows;

        public void Run(SweepSegment* segment, long from, long to, ref double sum)
        {
            var row = _rows + segment->Step;
            for (long i = from; i < to; )
            {
                long r = i / row->Columns,
                    column = i - (r * row->Columns),
                    count = Math.Min(row->Columns - column, to - i),
                    whole = count - (count % L.Width),
                    at = (r * row->Stride) + column;
                Step<L>(row, (float*)segment->W + i, (float*)segment->S + at, (float*)segment->G + at, 0, whole);
                Step<Lanes1>(row, (float*)segment->W + i, (float*)segment->S + at, (float*)segment->G + at, whole, count);
                i += count;
            }
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static void Step<N>(Row* row, float* w, float* b, float* u, long from, long to)
            where N : unmanaged, ILanes<N>
        {
            N mu = row->Mu,
                alpha = row->Alpha,
                rate = -row->Rate,
                keep = row->Keep;
            for (long i = from; i < to; i += N.Width)
            {
                N next = N.Fma(alpha, N.Load(u + i), mu * N.Load(b + i));
                N.Store(next, b + i);
                N.Store(N.Fma(rate, next, keep * N.Load(w + i)), w + i);
            }
        }
    }
}
