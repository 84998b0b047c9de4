using System.Buffers;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>A tensor's part in a sweep: addresses, and its place among all elements.</summary>
/// <remarks>The start is a multiple of <see cref="SweepPass.Align"/>, so that chunks begin at the same alignment as tensors; the end
/// includes the padding.</remarks>
internal struct SweepSegment
{
    public nint W,
        G,
        S,
        T,
        U,
        ScalesS,
        ScalesT;
    public nint Parameter,
        Gradient; // handles, where the addresses W and G are still to be read
    public long Start,
        End,
        Length,
        Step;
    public long Agreed; // entries that a first pass has counted
    public float Share; // the same as a share of all, bounded
    public ScalarType StateType;
    public bool IsBFloat16;
    public bool HasBeyond; // a pass met an entry beyond its bound; never unset by one
}

/// <summary>What is done to a piece of a tensor. Must not throw.</summary>
internal unsafe interface ISweepPass
{
    /// <summary>Does elements from (inclusive) to (exclusive), and may add to the chunk's sum.</summary>
    void Run(SweepSegment* segment, long from, long to, ref double sum);
}

/// <summary>The driver: cuts all segments into chunks of one size and shares them out to threads.</summary>
/// <remarks>Each thread has its own range of chunks, the same in every step, so that what its caches hold is of use again;
/// a thread that is done helps the others, because cores may be busy with something else.</remarks>
internal static unsafe class SweepPass
{
    /// <summary>In elements.</summary>
    public const long Align = 64;

    /// <summary>In elements.</summary>
    public const long ChunkSize = 1 << 14;

    private const int MaxThreads = 256,
        Apart = 16; // counters lie two cache lines apart

    private struct Job<TPass>
    {
        public TPass Pass;
        public SweepSegment* Segments;
        public double* Sums;
        public long* Taken;
        public long End;
        public int Threads;
    }

    /// <summary>How many chunks there are over <paramref name="end"/> elements.</summary>
    public static int Chunks(long end) => checked((int)((end + ChunkSize - 1) / ChunkSize));

    /// <summary>Does the pass over all segments; each chunk's sum goes to its place in <paramref name="sums"/>.</summary>
    public static void Run<TPass>(TPass pass, SweepSegment* segments, long end, double* sums)
        where TPass : unmanaged, ISweepPass
    {
        // to wake another for less costs more than it saves
        int threads = Math.Clamp(Chunks(end) / 2, 1, Math.Min(get_num_threads(), MaxThreads));
        var taken = stackalloc long[threads * Apart]; // stackalloc clears
        var job = new Job<TPass>
        {
            Pass = pass,
            Segments = segments,
            Sums = sums,
            Taken = taken,
            End = end,
            Threads = threads,
        };
        OpenMp.Run(threads, &Work<TPass>, (nint)(&job));
    }

    /// <summary>Does a pass that writes a tensor and sums nothing.</summary>
    /// <param name="pass">Its chunks may be done in any order.</param>
    /// <param name="t">Float32, dense, on the CPU.</param>
    public static void Fill<TPass>(TPass pass, Tensor t)
        where TPass : unmanaged, ISweepPass
    {
        long d = t.numel();
        var segment = new SweepSegment
        {
            W = LibTorch.DataPointer(t.Handle),
            Length = d,
            End = d,
        };
        double[] sums = ArrayPool<double>.Shared.Rent(Chunks(d));
        fixed (double* partial = sums)
            Run(pass, &segment, d, partial);
        ArrayPool<double>.Shared.Return(sums);
        GC.KeepAlive(t);
    }

    /// <summary>Reads the addresses of a segment's tensors: by the threads, for many small tensors lie in memory that no cache
    /// holds.</summary>
    public static void Locate(SweepSegment* segment)
    {
        int size = segment->IsBFloat16 ? sizeof(ushort) : sizeof(float);
        if (segment->Parameter != 0)
            segment->W = TensorHeader.DataPointer(segment->Parameter, size);
        if (segment->Gradient != 0)
            segment->G = TensorHeader.DataPointer(segment->Gradient, size);
    }

    private static void Work<TPass>(int thread, nint data)
        where TPass : unmanaged, ISweepPass
    {
        var job = (Job<TPass>*)data;
        var pass = job->Pass;
        long chunks = Chunks(job->End);
        for (int i = 0; i < job->Threads; i++)
        {
            int owner = (thread + i) % job->Threads;
            long first = chunks * owner / job->Threads,
                last = chunks * (owner + 1) / job->Threads;
            var segment = job->Segments;
            for (long chunk; (chunk = first + Interlocked.Increment(ref job->Taken[owner * Apart]) - 1) < last; )
            {
                long start = chunk * ChunkSize,
                    end = Math.Min(start + ChunkSize, job->End);
                double sum = 0;
                while (segment->End <= start)
                    segment++;
                for (var s = segment; ; s++)
                {
                    Locate(s);
                    pass.Run(s, Math.Max(start - s->Start, 0), Math.Min(end - s->Start, s->Length), ref sum);
                    if (s->End >= end)
                        break;
                }
                job->Sums[chunk] = sum;
            }
        }
    }
}
