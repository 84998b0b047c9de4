using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Lets the numbers that TorchSharp hands to libtorch live until the calls that read them have returned.</summary>
/// <remarks>
/// TorchSharp 0.107 makes a <see cref="Scalar"/> of each number, the hidden ones of <c>a + b</c> and <c>x.ToDouble()</c> too, and lets go of it
/// once it has read its handle, before the native call. When another thread starts a garbage collection just then, the finalizer frees the
/// number while libtorch reads it: a wrong result, an exception, or the end of the process (with a thread that collects all the time, within seconds).
/// No caller can prevent it, so the release itself waits: the runtime keeps the address of each native function in a word of its method's
/// description, and there, for the one that frees scalars, stands a method of ours that frees them a second later. The word is found by its value,
/// the function's address; where it is not found nothing is changed.
/// </remarks>
internal static unsafe class ScalarRelease
{
    private const int Words = 12;                              // where the address is looked for; it is the fifth word in .NET 10
    private const long Delay = 1000;                           // ms; no call that takes a number is in flight for longer

    private static readonly ConcurrentQueue<(nint Scalar, long Time)> Waiting = new();
    private static int _freeing;                               // whether a thread is at it: what it has looked at is what it takes out
    private static delegate* unmanaged<nint, void> _free;

    /// <summary>Whether releases wait.</summary>
    public static bool IsDelayed => _free != null;

    /// <summary>How many wait.</summary>
    public static int Count => Waiting.Count;

    /// <summary>Puts the delay in, once; loads TorchSharp's native library. What all begin with, optimizers, likelihoods and operators, calls it.</summary>
    public static void Install()
    {
        if (_free != null || TorchLibrary.Status.State == TorchLibraryState.Failed || typeof(torch).Assembly.GetType("TorchSharp.PInvoke.NativeMethods")
                ?.GetMethod("THSTorch_dispose_scalar", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic, [typeof(nint)]) is not { } method
            || !NativeLibrary.TryLoad("LibTorchSharp", typeof(torch).Assembly, null, out var library)
            || !NativeLibrary.TryGetExport(library, method.Name, out var address)) return;
        Marshal.Prelink(method);                               // from here on the word holds the address
        var word = new Span<nint>((void*)method.MethodHandle.Value, Words).IndexOf(address);
        if (word < 0) return;
        _free = (delegate* unmanaged<nint, void>)address;
        Volatile.Write(ref ((nint*)method.MethodHandle.Value)[word], (nint)(delegate* unmanaged<nint, void>)&Later);
    }

    [UnmanagedCallersOnly]
    private static void Later(nint scalar)
    {
        var now = Environment.TickCount64;
        Waiting.Enqueue((scalar, now));
        if (Interlocked.Exchange(ref _freeing, 1) == 1) return;
        while (Waiting.TryPeek(out var first) && now - first.Time > Delay && Waiting.TryDequeue(out first)) _free(first.Scalar);
        Volatile.Write(ref _freeing, 0);
    }
}
