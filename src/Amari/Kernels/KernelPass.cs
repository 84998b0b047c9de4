namespace Amari.Kernels;

/// <summary>An optimizer's kernel on registers of one width; what is left at the end goes one by one, with the same results.</summary>
internal readonly unsafe struct KernelPass<TKernel, L>(TKernel kernel) : ISweepPass
    where TKernel : unmanaged, IKernel
    where L : unmanaged, ILanes<L>
{
    private readonly TKernel _kernel = kernel;

    public void Run(SweepSegment* segment, long from, long to, ref double sum)
    {
        bool isSmall = TKernel.TakesStates && segment->S != 0;
        if (isSmall && segment->StateType == ScalarType.Byte)
            Widened(segment, from, to);
        else if (isSmall && segment->StateType == ScalarType.BFloat16)
            Run<ushort>(segment, from, to);
        else
            Run<float>(segment, from, to);
    }

    /// <summary>Some blocks at a time with the states in full, on the stack.</summary>
    private void Widened(SweepSegment* segment, long from, long to)
    {
        // on lines of the cache: a register that crosses two waits for what was just stored
        const int Line = 64,
            Stretch = 4 * SmallState.Block;
        byte* space = stackalloc byte[2 * Stretch * sizeof(float) + Line];
        float* m = (float*)(((nuint)space + Line - 1) & ~(nuint)(Line - 1)),
            v = m + Stretch;
        SmallState.Address first = new(segment->StateType, segment->S, segment->ScalesS),
            second = new(segment->StateType, segment->T, segment->ScalesT);
        var part = *segment;
        for (long i = from; i < to; i += Stretch)
        {
            int count = (int)Math.Min(Stretch, to - i);
            SmallState.Decode(first, i, count, signed: true, m);
            if (segment->T != 0)
                SmallState.Decode(second, i, count, signed: false, v);
            (part.S, part.T, part.Agreed) = ((nint)(m - i), (nint)(v - i), 0);
            Run<float>(&part, i, i + count);
            if (part.Agreed != 0)
                Interlocked.Add(ref segment->Agreed, part.Agreed);
            if (!TKernel.WritesStates)
                continue;
            SmallState.Encode(m, first, i, count, signed: true, SmallState.Salt(segment->Step, 0));
            if (segment->T != 0)
                SmallState.Encode(v, second, i, count, signed: false, SmallState.Salt(segment->Step, 1));
        }
        if (part.HasBeyond)
            segment->HasBeyond = true;
    }

    private void Run<S>(SweepSegment* segment, long from, long to)
        where S : unmanaged
    {
        if (segment->IsBFloat16)
            Run<ushort, S>(segment, from, to);
        else
            Run<float, S>(segment, from, to);
    }

    private void Run<T, S>(SweepSegment* segment, long from, long to)
        where T : unmanaged
        where S : unmanaged
    {
        long whole = to - ((to - from) % L.Width);
        _kernel.Run(new Chunk<L, T, S>(segment, from, whole));
        if (whole < to)
            _kernel.Run(new Chunk<Lanes1, T, S>(segment, whole, to));
    }
}
