using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Amari.Kernels;

/// <summary>Runs work on libtorch's own threads, because two pools that spin for work take the cores from each other.</summary>
/// <remarks>On Linux libtorch_cpu depends on GNU's OpenMP library, whose entry point <c>GOMP_parallel</c> compilers call for every parallel
/// region. Elsewhere .NET's pool does the work.</remarks>
internal static unsafe partial class OpenMp
{
    private static readonly bool IsThere = Exports("GOMP_parallel") && Exports("omp_get_thread_num");

    /// <summary>Whether GNU's library is there.</summary>
    public static bool IsGnu => IsThere;

    /// <summary>How many processors it counts; to be asked where it is there.</summary>
    public static int Processors => omp_get_num_procs();

    private struct Job
    {
        public delegate* <int, nint, void> Body;
        public nint Data;
    }

    /// <summary>Runs <paramref name="body"/> once on each of <paramref name="threads"/> threads, this one included, and waits. Allocates
    /// nothing where OpenMP is found.</summary>
    /// <param name="threads">At least 1. Fewer may run: the body has to share out the work by itself.</param>
    /// <param name="body">Gets the thread's number, which is the same in every call for the same thread as a rule. Must not throw: an
    /// exception that reaches native frames ends the process.</param>
    /// <param name="data">Handed to the body.</param>
    public static void Run(int threads, delegate* <int, nint, void> body, nint data)
    {
        if (threads == 1)
            body(0, data);
        else if (IsThere)
        {
            var job = new Job { Body = body, Data = data };
            GOMP_parallel(&Enter, (nint)(&job), (uint)threads, 0);
        }
        else
            RunOnPool(threads, (nint)body, data);
    }

    [UnmanagedCallersOnly]
    private static void Enter(nint job) => ((Job*)job)->Body(omp_get_thread_num(), ((Job*)job)->Data);

    // Its own method: the closure would be allocated on every path otherwise.
    private static void RunOnPool(int threads, nint body, nint data) =>
        System.Threading.Tasks.Parallel.For(0, threads, i => ((delegate* <int, nint, void>)body)(i, data));

    private static bool Exports(string symbol)
    {
        RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle); // where TorchSharp loads libtorch
        return OperatingSystem.IsLinux()
            && NativeLibrary.TryLoad(Library, typeof(torch).Assembly, null, out var library)
            && NativeLibrary.TryGetExport(library, symbol, out _); // also searches the libraries it depends on
    }

    private const string Library = "torch_cpu";

    [LibraryImport(Library)]
    private static partial void GOMP_parallel(delegate* unmanaged<nint, void> body, nint data, uint threads, uint flags);

    [LibraryImport(Library)]
    private static partial int omp_get_thread_num();

    [LibraryImport(Library)]
    private static partial int omp_get_num_procs();
}
