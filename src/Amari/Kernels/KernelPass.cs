namespace Amari.Kernels;

/// <summary>An optimizer's kernel on registers of one width; what is left at the end goes one by one, with the same results.</summary>
internal readonly unsafe struct KernelPass<TKernel, L>(TKernel kernel) : ISweepPass
    where TKernel : unmanaged, IKernel where L : unmanaged, ILanes<L>
{
    private readonly TKernel _kernel = kernel;

    public void Run(SweepSegment* segment, long from, long to, ref double sum)
    {
        if (segment->IsBFloat16) Run<ushort>(segment, from, to);
        else Run<float>(segment, from, to);
    }

    private void Run<T>(SweepSegment* segment, long from, long to) where T : unmanaged
    {
        long whole = to - ((to - from) % L.Width);
        _kernel.Run(new Piece<L, T>(segment, from, whole));
        if (whole < to) _kernel.Run(new Piece<Lanes1, T>(segment, whole, to));
    }
}
