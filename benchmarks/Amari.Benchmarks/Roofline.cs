using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Amari.Kernels;
using Amari.Native;
using Amari.Training;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>The plainest loop over the bytes of a step: reads parameter, gradient and states, writes parameter and states, one addition
/// each.</summary>
/// <remarks>Addresses are known beforehand, and the elements are cut into equal parts once: nothing is looked up, asked or decided in a
/// step.</remarks>
internal sealed unsafe class Roofline
{
    private readonly Piece[] _pieces;
    private readonly int[] _ends; // of each part, among the pieces
    private readonly Tensor[] _states;
    private readonly bool _twoStates;
    private readonly int _threads = get_num_threads();

    private readonly record struct Piece(nint W, nint G, nint M, nint V, long Length);

    private struct Job
    {
        public Piece* Pieces;
        public int* Ends;
        public int Parts,
            Threads;
    }

    /// <param name="parameters">With gradients.</param>
    /// <param name="twoStates">4 reads and 3 writes; else 3 and 2.</param>
    public Roofline(Parameter[] parameters, bool twoStates)
    {
        _twoStates = twoStates;
        _states = [.. parameters.SelectMany(p => new[] { zeros(p.shape), zeros(twoStates ? p.shape : [1]) })];
        long all = parameters.Sum(p => p.NumberOfElements),
            parts = _threads;
        long size = (((all + parts - 1) / parts) + 63) & -64,
            left = size;
        List<Piece> pieces = [];
        List<int> ends = [];
        for (int i = 0; i < parameters.Length; i++)
        for (long from = 0, length = parameters[i].NumberOfElements; from < length; )
        {
            long n = Math.Min(left, length - from);
            pieces.Add(
                new(
                    At(parameters[i], from),
                    At(parameters[i].grad!, from),
                    At(_states[2 * i], from),
                    twoStates ? At(_states[2 * i + 1], from) : 0,
                    n
                )
            );
            (from, left) = (from + n, left - n);
            if (left > 0)
                continue;
            ends.Add(pieces.Count);
            left = size;
        }
        if (left < size)
            ends.Add(pieces.Count);
        (_pieces, _ends) = ([.. pieces], [.. ends]);
    }

    public void Run()
    {
        fixed (Piece* pieces = _pieces)
        fixed (int* ends = _ends)
        {
            var job = new Job
            {
                Pieces = pieces,
                Ends = ends,
                Parts = _ends.Length,
                Threads = _threads,
            };
            if (Vector512.IsHardwareAccelerated)
                OpenMp.Run(_threads, _twoStates ? &Two<Lanes512> : &One<Lanes512>, (nint)(&job));
            else
                OpenMp.Run(_threads, _twoStates ? &Two<Lanes256> : &One<Lanes256>, (nint)(&job));
        }
    }

    private static nint At(Tensor tensor, long element) => Native.LibTorch.DataPointer(tensor.Handle) + (nint)(element * sizeof(float));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Two<L>(int thread, nint data)
        where L : struct, ILanes<L>
    {
        var job = (Job*)data;
        for (int part = thread; part < job->Parts; part += job->Threads)
        for (int i = part == 0 ? 0 : job->Ends[part - 1]; i < job->Ends[part]; i++)
        {
            var piece = job->Pieces[i];
            float* w = (float*)piece.W,
                g = (float*)piece.G,
                m = (float*)piece.M,
                v = (float*)piece.V,
                end = w + piece.Length - (L.Width - 1);
            for (; w < end; w += L.Width, g += L.Width, m += L.Width, v += L.Width)
            {
                var d = L.Load(g);
                L.Store(L.Load(w) + d, w);
                L.Store(L.Load(m) + d, m);
                L.Store(L.Load(v) + d, v);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void One<L>(int thread, nint data)
        where L : struct, ILanes<L>
    {
        var job = (Job*)data;
        for (int part = thread; part < job->Parts; part += job->Threads)
        for (int i = part == 0 ? 0 : job->Ends[part - 1]; i < job->Ends[part]; i++)
        {
            var piece = job->Pieces[i];
            float* w = (float*)piece.W,
                g = (float*)piece.G,
                m = (float*)piece.M,
                end = w + piece.Length - (L.Width - 1);
            for (; w < end; w += L.Width, g += L.Width, m += L.Width)
            {
                var d = L.Load(g);
                L.Store(L.Load(w) + d, w);
                L.Store(L.Load(m) + d, m);
            }
        }
    }
}
