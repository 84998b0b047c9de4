using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Lets the numbers that TorchSharp hands to libtorch live until the calls that read them have returned.</summary>
/// <remarks> TorchSharp 0.107 makes a <see cref="Scalar"/> of each number, the hidden ones of <c>a + b</c> and <c>x.ToDouble()</c> too, and
/// lets go of it once it has read its handle, before the native call. When another thread starts a garbage collection just then, the
/// finalizer frees the number while libtorch reads it: a wrong result, an exception, or the end of the process (with a thread that collects
/// all the time, within seconds). No caller can prevent it, so the release itself waits: the runtime keeps the address of each native
/// function in a word of its method's description, through which compiled code calls it, and there, for the one that frees scalars, stands
/// a method of ours that frees them a second later. The word is found by its value, the function's address, once a call has put it there:
/// code that was compiled ahead of time (ReadyToRun) links at the first call and not before. Whether releases come here is then tried;
/// where they do not, nothing is protected, which <see cref="TorchLibraryStatus.Unprotected"/> and a line on standard error report.
/// </remarks>
internal static unsafe class ScalarRelease
{
    private const int Words = 12; // where the address is looked for; it is the fifth word in .NET 10
    private const long Delay = 1000; // ms; no call that takes a number is in flight for longer

    private static readonly Lock Gate = new();
    private static readonly ConcurrentQueue<(nint Scalar, long Time)> Waiting = new();
    private static int _freeing; // whether a thread is at it: what it has looked at is what it takes out
    private static bool _tried;
    private static delegate* unmanaged<nint, void> _free;

    [ThreadStatic]
    private static long _releases; // that came here on this thread

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
            return Find(typeof(torch).Assembly, out var method) ?? Divert(method!);
        }
    }

    /// <summary>The method that frees a number.</summary>
    internal static string? Find(Assembly torchSharp, out MethodInfo? method)
    {
        method = torchSharp
            .GetType("TorchSharp.PInvoke.NativeMethods")
            ?.GetMethod("THSTorch_dispose_scalar", BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic, [typeof(nint)]);
        return method is not null && RuntimeFeature.IsDynamicCodeCompiled
            ? null
            : $"{torchSharp.GetName().Name} {torchSharp.GetName().Version?.ToString(3)} on {RuntimeInformation.FrameworkDescription} does "
                + "not free them as is known";
    }

    private static string? Divert(MethodInfo method)
    {
        if (
            !NativeLibrary.TryLoad("LibTorchSharp", method.Module.Assembly, null, out var library)
            || !NativeLibrary.TryGetExport(library, method.Name, out var address)
        )
            return $"its native library has no {method.Name}";
        ((Scalar)0).Dispose(); // from here on the word holds the address
        var words = new Span<nint>((void*)method.MethodHandle.Value, Words);
        int word = words.IndexOf(address);
        if (word < 0)
            return $"{RuntimeInformation.FrameworkDescription} keeps the address of the function that frees them elsewhere";
        _free = (delegate* unmanaged<nint, void>)address;
        Volatile.Write(ref words[word], (nint)(delegate* unmanaged<nint, void>)&Later);
        long before = _releases;
        ((Scalar)0).Dispose();
        IsDelayed = _releases == before + 1;
        if (IsDelayed)
            return null;
        Volatile.Write(ref words[word], address);
        return "the code that frees them was compiled before: use something of Amari before TorchSharp";
    }

    [UnmanagedCallersOnly]
    private static void Later(nint scalar)
    {
        _releases++;
        var now = Environment.TickCount64;
        Waiting.Enqueue((scalar, now));
        if (Interlocked.Exchange(ref _freeing, 1) == 1)
            return;
        while (Waiting.TryPeek(out var first) && now - first.Time > Delay && Waiting.TryDequeue(out first))
            _free(first.Scalar);
        Volatile.Write(ref _freeing, 0);
    }
}
