using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Lets the numbers that TorchSharp hands to libtorch live until the calls that read them have returned.</summary>
/// <remarks> TorchSharp 0.107 makes a <see cref="Scalar"/> of each number, the hidden ones of <c>a + b</c> and <c>x.ToDouble()</c> too, and
/// lets go of it once it has read its handle, before the native call. When another thread starts a garbage collection just then, the
/// finalizer frees the number while libtorch reads it: a wrong result, an exception, or the end of the process (with a thread that collects
/// all the time, within seconds). No caller can prevent it, so the release itself waits: in the place of the native function that frees
/// scalars stands a method of ours (<see cref="Diversion"/>) that frees them a second later. Where it cannot be put there, nothing is
/// protected, which <see cref="TorchLibraryStatus.Unprotected"/> and a line on standard error report. </remarks>
internal static unsafe class ScalarRelease
{
    private const long Delay = 1000; // ms; no call that takes a number is in flight for longer

    private static readonly Lock Gate = new();
    private static readonly ConcurrentQueue<(nint Scalar, long Time)> Waiting = new();
    private static int _freeing; // whether a thread is at it: what it has looked at is what it takes out
    private static bool _tried;
    private static nint _free;

    /// <summary>Whether releases wait.</summary>
    public static bool IsDelayed { get; private set; }

    /// <summary>How many wait.</summary>
    public static int Count => Waiting.Count;

    /// <summary>Puts the delay in, once, and says on standard error if it cannot; loads TorchSharp's native library. What all begin with,
    /// optimizers, likelihoods and operators, calls it.</summary>
    public static void Install() => _ = TorchLibrary.Status;

    /// <summary>Puts the delay in, once, when the native library is loaded.</summary>
    /// <returns>Why numbers are not protected, in words that follow "because"; null where they are.</returns>
    public static string? TryInstall()
    {
        lock (Gate)
        {
            if (_tried)
                return IsDelayed ? null : "it could not be put in before";
            _tried = true;
            var why = Diversion.TryPut(
                "Void THSTorch_dispose_scalar(IntPtr)",
                (nint)(delegate* unmanaged<nint, void>)&Later,
                () => ((Scalar)0).Dispose(),
                out _free
            );
            IsDelayed = why is null;
            return why;
        }
    }

    [UnmanagedCallersOnly]
    private static void Later(nint scalar)
    {
        Diversion.Calls++;
        var now = Environment.TickCount64;
        Waiting.Enqueue((scalar, now));
        if (Interlocked.Exchange(ref _freeing, 1) == 1)
            return;
        while (Waiting.TryPeek(out var first) && now - first.Time > Delay && Waiting.TryDequeue(out first))
            ((delegate* unmanaged<nint, void>)_free)(first.Scalar);
        Volatile.Write(ref _freeing, 0);
    }
}
