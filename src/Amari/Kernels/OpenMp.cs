using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Amari.Kernels;

/// <summary>Runs work on libtorch's own threads, because two pools that spin for work take the cores from each other.</summary>
/// <remarks>On Linux libtorch_cpu depends on GNU's OpenMP library, whose entry point <c>GOMP_parallel</c> compilers call for every parallel region.
/// Elsewhere .NET's pool does the work.</remarks>
internal static unsafe class OpenMp
{
    // void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags)
    private static readonly delegate* unmanaged<delegate* unmanaged<nint, void>, nint, uint, uint, void> Parallel =
        (delegate* unmanaged<delegate* unmanaged<nint, void>, nint, uint, uint, void>)Export("GOMP_parallel");

    // int omp_get_thread_num(void)
    private static readonly delegate* unmanaged[SuppressGCTransition]<int> ThreadNumber =
        (delegate* unmanaged[SuppressGCTransition]<int>)Export("omp_get_thread_num");

    private struct Job
    {
        public delegate*<int, nint, void> Body;
        public nint Data;
    }

    /// <summary>Runs <paramref name="body"/> once on each of <paramref name="threads"/> threads, this one included, and waits. Allocates nothing where OpenMP is found.</summary>
    /// <param name="threads">At least 1. Fewer may run: the body has to share out the work by itself.</param>
    /// <param name="body">Gets the thread's number, which is the same in every call for the same thread as a rule. Must not throw: an exception that reaches native frames ends the process.</param>
    /// <param name="data">Handed to the body.</param>
    public static void Run(int threads, delegate*<int, nint, void> body, nint data)
    {
        if (threads == 1) body(0, data);
        else if (Parallel != null && ThreadNumber != null)
        {
            var job = new Job { Body = body, Data = data };
            Parallel(&Enter, (nint)(&job), (uint)threads, 0);
        }
        else RunOnPool(threads, (nint)body, data);
    }

    [UnmanagedCallersOnly]
    private static void Enter(nint job) => ((Job*)job)->Body(ThreadNumber(), ((Job*)job)->Data);

    // Its own method: the closure would be allocated on every path otherwise.
    private static void RunOnPool(int threads, nint body, nint data) =>
        System.Threading.Tasks.Parallel.For(0, threads, i => ((delegate*<int, nint, void>)body)(i, data));

    private static nint Export(string symbol)
    {
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle);   // where TorchSharp loads libtorch
        return OperatingSystem.IsLinux()
            && NativeLibrary.TryLoad("torch_cpu", typeof(torch).Assembly, null, out var library)
            && NativeLibrary.TryGetExport(library, symbol, out var address)   // also searches the libraries it depends on
            ? address
            : 0;
    }
}
