using Amari.Native;

namespace Amari;

/// <summary>Some of a parameter's numbers, by which it is noticed that others were put in place of most of them.</summary>
/// <remarks>A few reads of memory a step. Nothing is kept of parameters that are not contiguous or not on the CPU.</remarks>
internal sealed unsafe class WeightSample
{
    private const int Most = 64;
    private readonly ulong[] _bits = new ulong[Most];
    private ScalarType _type;
    private int _count; // 0: nothing is kept

    /// <summary>Keeps those of a parameter as it is now.</summary>
    public void Take(Tensor parameter) => (_type, _count) = (parameter.dtype, Read(parameter, _bits));

    /// <summary>Whether more than half of them are others by now; false where nothing was kept, and of a parameter that has another type by
    /// now.</summary>
    public bool IsReplaced(Tensor parameter)
    {
        if (_count == 0 || parameter.dtype != _type)
            return false;
        Span<ulong> now = stackalloc ulong[Most];
        if (Read(parameter, now) != _count)
            return false;
        int others = 0;
        for (int i = 0; i < _count; i++)
            if (now[i] != _bits[i])
                others++;
        return 2 * others > _count;
    }

    /// <summary>The bits of numbers at equal distances; how many there are.</summary>
    private static int Read(Tensor parameter, Span<ulong> bits)
    {
        long all = parameter.NumberOfElements,
            size = parameter.ElementSize;
        if (all == 0 || parameter.device_type != DeviceType.CPU || !LibTorch.IsContiguous(parameter.Handle))
            return 0;
        int count = (int)Math.Min(Most, all);
        byte* first = (byte*)LibTorch.DataPointer(parameter.Handle);
        for (int i = 0; i < count; i++)
        {
            byte* at = first + size * (i * (all - 1) / Math.Max(1, count - 1));
            bits[i] = size switch
            {
                2 => *(ushort*)at,
                4 => *(uint*)at,
                _ => *(ulong*)at,
            };
        }
        GC.KeepAlive(parameter);
        return count;
    }
}
