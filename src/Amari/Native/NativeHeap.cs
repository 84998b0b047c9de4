using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>The C library's heap, which libtorch's CPU tensors come from.</summary>
internal static partial class NativeHeap
{
    private const int MapThreshold = -3; // M_MMAP_THRESHOLD of glibc's malloc.h
    private const int LargeBlock = 1 << 20;
    private const int Readable = 1,
        Writable = 2,
        Private = 2,
        Anonymous = 0x20; // of Linux

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

    /// <summary>Room to work in, at a multiple of 64 bytes: from a megabyte on, pages of their own, which are gone when given back. The
    /// heap would keep them where they lie last in it.</summary>
    /// <param name="bytes">How much.</param>
    /// <exception cref="InsufficientMemoryException">There is not as much.</exception>
    public static unsafe void* Take(long bytes)
    {
        if (!IsMapped(bytes))
            return NativeMemory.AlignedAlloc((nuint)bytes, 64);
        nint pages = mmap(0, (nuint)bytes, Readable | Writable, Private | Anonymous, -1, 0);
        return pages == -1 ? throw new InsufficientMemoryException() : (void*)pages;
    }

    /// <summary>Gives back what <see cref="Take"/> gave.</summary>
    public static unsafe void Give(void* memory, long bytes)
    {
        if (IsMapped(bytes))
            _ = munmap((nint)memory, (nuint)bytes);
        else
            NativeMemory.AlignedFree(memory);
    }

    private static bool IsMapped(long bytes) => OperatingSystem.IsLinux() && bytes >= LargeBlock;

    [LibraryImport("libc.so.6")]
    private static partial int mallopt(int parameter, int value);

    [LibraryImport("libc")]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int file, nint offset);

    [LibraryImport("libc")]
    private static partial int munmap(nint address, nuint length);
}
