using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>The C library's heap, which libtorch's CPU tensors come from.</summary>
internal static partial class NativeHeap
{
    private const int MapThreshold = -3; // M_MMAP_THRESHOLD of glibc's malloc.h
    private const int LargeBlock = 1 << 20;

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

    [LibraryImport("libc.so.6")]
    private static partial int mallopt(int parameter, int value);
}
