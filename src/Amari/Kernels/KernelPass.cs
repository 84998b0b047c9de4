using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary>An optimizer's kernel on registers of one width; what is left at the end goes one by one, with the same results.</summary>
internal readonly unsafe struct KernelPass<TKernel, L>(TKernel kernel) : ISweepPass
    where TKernel : unmanaged, IKernel where L : unmanaged, ILanes<L>
{
    private readonly TKernel _kernel = kernel;

    public void Run(SweepSegment* segment, long from, long to, ref double sum)
    {
        if (segment->IsBFloat16) Update<ushort>(segment, from, to);
        else Update<float>(segment, from, to);
    }

    private void Update<T>(SweepSegment* segment, long from, long to) where T : unmanaged
    {
        var kernel = _kernel;
        T* w = (T*)segment->W, g = (T*)segment->G;
        float* s = (float*)segment->S, t = (float*)segment->T;
        long i = from;
        for (; i <= to - L.Width; i += L.Width) Apply<L, T>(in kernel, w + i, g + i, s + i, t + i);
        for (; i < to; i++) Apply<Lanes1, T>(in kernel, w + i, g + i, s + i, t + i);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Apply<N, T>(in TKernel kernel, T* w, T* g, float* s, float* t) where N : struct, ILanes<N> where T : unmanaged
    {
        N w0 = Load<N, T>(w), s0 = default, t0 = default;
        if (TKernel.States > 0) s0 = N.Load(s);
        if (TKernel.States > 1) t0 = N.Load(t);
        kernel.Apply(ref w0, Load<N, T>(g), ref s0, ref t0);
        if (typeof(T) == typeof(float)) N.Store(w0, (float*)w);
        else N.Store(w0, (ushort*)w);
        if (TKernel.States > 0) N.Store(s0, s);
        if (TKernel.States > 1) N.Store(t0, t);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static N Load<N, T>(T* from) where N : struct, ILanes<N> where T : unmanaged =>
        typeof(T) == typeof(float) ? N.Load((float*)from) : N.Load((ushort*)from);
}
