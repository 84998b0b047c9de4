using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary>One optimizer's arithmetic: constants, and a loop that is written once for every register width and element type.</summary>
internal interface IKernel
{
    /// <summary>Updates parameters and states from <see cref="Chunk{L, T, S}.From"/> on, <c>L.Width</c> at a time. Must not
    /// throw.</summary>
    void Run<L, T, S>(Chunk<L, T, S> x)
        where L : struct, ILanes<L>
        where T : unmanaged
        where S : unmanaged;

    /// <summary>Whether it needs the states, which small formats have to widen.</summary>
    static virtual bool TakesStates => true;

    /// <summary>Whether it changes the states, which small formats then have to round.</summary>
    static virtual bool WritesStates => true;
}

/// <summary>A piece of one tensor, seen through registers: parameter and gradient (as it is, not scaled), which are <c>T</c>; first to
/// third state, which are <c>S</c>.</summary>
/// <remarks>The states that a kernel does not have must not be touched.</remarks>
internal readonly unsafe struct Chunk<L, T, S>(SweepSegment* segment, long from, long to)
    where L : struct, ILanes<L>
    where T : unmanaged
    where S : unmanaged
{
    /// <summary>The first element, and the one after the last; a multiple of <c>L.Width</c> apart.</summary>
    public readonly long From = from,
        To = to;

    private readonly SweepSegment* _segment = segment;

    public readonly View<L, T> W = new(segment->W),
        G = new(segment->G);
    public readonly StateView<L, S> M = new(segment->S, SmallState.Salt(segment->Step, 0)),
        V = new(segment->T, SmallState.Salt(segment->Step, 1)),
        U = new(segment->U, 0);

    /// <summary>What <see cref="Count"/> counted in the whole tensor, as a share of its entries, when a second kernel runs.</summary>
    public float Share => _segment->Share;

    /// <summary>Adds to the tensor's count; it does not depend on threads, as whole numbers are added.</summary>
    public void Count(L entries)
    {
        float* numbers = stackalloc float[L.Width];
        L.Store(entries, numbers);
        long sum = 0;
        for (int i = 0; i < L.Width; i++)
            sum += (long)numbers[i];
        Interlocked.Add(ref _segment->Agreed, sum);
    }

    /// <summary>Marks the tensor if <see cref="ILanes{TSelf}.Within"/> met an entry beyond its bound.</summary>
    public void Mark(L beyond)
    {
        if (L.HasBits(beyond))
            _segment->HasBeyond = true;
    }
}

/// <summary>Memory of float32 (<c>float</c>) or bfloat16 (<c>ushort</c>) numbers, read and written some at a time.</summary>
internal readonly unsafe struct View<L, T>(nint address)
    where L : struct, ILanes<L>
    where T : unmanaged
{
    private readonly T* _address = (T*)address;

    public L this[long i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => typeof(T) == typeof(float) ? L.Load((float*)(_address + i)) : L.Load((ushort*)(_address + i));
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        set
        {
            if (typeof(T) == typeof(float))
                L.Store(value, (float*)(_address + i));
            else
                L.Store(value, (ushort*)(_address + i));
        }
    }
}

/// <summary>The same for a state: bfloat16 numbers are rounded stochastically when they are written.</summary>
internal readonly unsafe struct StateView<L, S>(nint address, uint salt)
    where L : struct, ILanes<L>
    where S : unmanaged
{
    private readonly S* _address = (S*)address;
    private readonly uint _salt = salt;

    public L this[long i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => typeof(S) == typeof(float) ? L.Load((float*)(_address + i)) : L.Load((ushort*)(_address + i));
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        set
        {
            if (typeof(S) == typeof(float))
                L.Store(value, (float*)(_address + i));
            else
                L.Store(value, (ushort*)(_address + i), (uint)i, _salt);
        }
    }
}
