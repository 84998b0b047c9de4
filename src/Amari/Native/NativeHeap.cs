using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>The C library's heap, which libtorch's CPU tensors come from.</summary>
internal static partial class NativeHeap
{
    private const int MapThreshold = -3; // M_MMAP_THRESHOLD of glibc's malloc.h
    private const int LargeBlock = 1 << 20;
    private const int HugePage = 14; // MADV_HUGEPAGE of Linux's mman.h
    private const long OwnPages = 64L << 20; // bytes from which a block surely is pages of its own

    /// <summary>From now on, blocks of a megabyte and more are pages of their own, which go back to the system when freed.</summary>
    /// <remarks>glibc raises that limit to 32 MB by itself. Graphs of double backward passes with weights of 4 to 32 MB, made and freed
    /// between vectors that stay, then leave a heap of holes: the process grew by 250 MB a Hessian-vector product of a 10M-parameter
    /// network instead of not at all. It costs page faults: not for training. Where the C library is another, nothing happens.</remarks>
    public static void MapLargeBlocks()
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            _ = mallopt(MapThreshold, LargeBlock);
        }
        catch (EntryPointNotFoundException) { } // musl has another allocator
        catch (DllNotFoundException) { }
    }

    /// <summary>Asks Linux for pages of 2 MiB under a large tensor, before anything is written to it. Where a system gives them only to
    /// those who ask, memory that is read in many places is otherwise looked up every 4 KiB.</summary>
    /// <param name="t">On the CPU, dense and fresh; smaller ones than 64 MiB are left alone.</param>
    /// <returns>Whether the system accepted; it may still give small pages.</returns>
    public static bool UseLargePages(Tensor t)
    {
        long bytes = t.numel() * t.ElementSize;
        if (!OperatingSystem.IsLinux() || t.device_type != DeviceType.CPU || bytes < OwnPages)
            return false;
        nint start = LibTorch.DataPointer(t.Handle),
            first = (start + Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize;
        bool accepted = madvise(first, (nuint)(start + (nint)bytes - first), HugePage) == 0;
        GC.KeepAlive(t);
        return accepted;
    }

    [LibraryImport("libc.so.6")]
    private static partial int mallopt(int parameter, int value);

    [LibraryImport("libc")]
    private static partial int madvise(nint address, nuint length, int advice);
}
