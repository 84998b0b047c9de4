namespace Amari.Kernels;

/// <summary>An optimizer's kernel on registers of one width; what is left at the end goes one by one, with the same results.</summary>
internal readonly unsafe struct KernelPass<TKernel, L>(TKernel kernel) : ISweepPass
    where TKernel : unmanaged, IKernel
    where L : unmanaged, ILanes<L>
{
    private readonly TKernel _kernel = kernel;

    public void Run(SweepSegment* segment, long from, long to, ref double sum)
    {
        if (TKernel.TakesStates && segment->StateType != ScalarType.Float32 && segment->S != 0)
            Widened(segment, from, to);
        else if (segment->IsBFloat16)
            Run<ushort>(segment, from, to);
        else
            Run<float>(segment, from, to);
    }

    /// <summary>Block by block with the states in full, on the stack.</summary>
    private void Widened(SweepSegment* segment, long from, long to)
    {
        float* m = stackalloc float[SmallState.Block],
            v = stackalloc float[SmallState.Block];
        SmallState.Address first = new(segment->StateType, segment->S, segment->ScalesS),
            second = new(segment->StateType, segment->T, segment->ScalesT);
        var block = *segment;
        for (long i = from; i < to; i += SmallState.Block)
        {
            int count = (int)Math.Min(SmallState.Block, to - i);
            SmallState.Decode(first, i, count, signed: true, m);
            if (segment->T != 0)
                SmallState.Decode(second, i, count, signed: false, v);
            (block.S, block.T, block.Agreed) = ((nint)(m - i), (nint)(v - i), 0);
            if (segment->IsBFloat16)
                Run<ushort>(&block, i, i + count);
            else
                Run<float>(&block, i, i + count);
            Interlocked.Add(ref segment->Agreed, block.Agreed);
            if (!TKernel.WritesStates)
                continue;
            SmallState.Encode(m, first, i, count, signed: true, SmallState.Salt(segment->Step, 0));
            if (segment->T != 0)
                SmallState.Encode(v, second, i, count, signed: false, SmallState.Salt(segment->Step, 1));
        }
    }

    private void Run<T>(SweepSegment* segment, long from, long to)
        where T : unmanaged
    {
        long whole = to - ((to - from) % L.Width);
        _kernel.Run(new Chunk<L, T>(segment, from, whole));
        if (whole < to)
            _kernel.Run(new Chunk<Lanes1, T>(segment, whole, to));
    }
}
