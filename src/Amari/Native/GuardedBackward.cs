using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Custom autograd functions of TorchSharp, those of users too, with a backward that may throw.</summary>
/// <remarks>libtorch calls <c>backward</c> through a delegate, and .NET ends the process where an exception would pass from it into native
/// frames. Here the function that hands the delegate to libtorch is replaced (<see cref="Diversion"/>) by one that hands it one of ours
/// around it. It catches the exception and returns no gradients, which libtorch refuses with an error; its text is then that of the
/// exception (<see cref="NativeError"/>).</remarks>
internal static unsafe class GuardedBackward
{
    [StructLayout(LayoutKind.Sequential)]
    private struct Gradients
    {
        public nint Array;
        public long Count;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Node
    {
        public nint Shared,
            Weak;
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    private delegate Gradients Backward([MarshalAs(UnmanagedType.LPArray, SizeParamIndex = 1)] nint[] tensors, int count);

    private static readonly ConditionalWeakTable<object, Backward> Kept = []; // as long as TorchSharp keeps its own
    private static Type? _type; // of TorchSharp's delegate, which is Backward under another name
    private static nint _original;

    /// <summary>Puts it in the place of the native function; once.</summary>
    /// <returns>Why it cannot be, in words that follow "because"; null where it is.</returns>
    public static string? TryInstall()
    {
        _type = typeof(torch).Assembly.GetType("TorchSharp.PInvoke.NativeMethods+ApplyFunc");
        if (_type?.GetMethod("Invoke")?.ToString() != "ArrayWithSize Invoke(IntPtr[], Int32)")
            return "its custom functions are of another kind";
        return Diversion.TryPut(
            "NodeUnmanagedPtr THSAutograd_CSharpNode_ctor(ApplyFunc, ManagedDeleteNode)",
            (nint)(delegate* unmanaged<nint, nint, Node>)&Construct,
            null,
            out _original
        );
    }

    [UnmanagedCallersOnly]
    private static Node Construct(nint backward, nint delete) =>
        ((delegate* unmanaged<nint, nint, Node>)_original)(Guarded(backward), delete);

    private static nint Guarded(nint backward)
    {
        try
        {
            // the delegate itself, which TorchSharp has made the pointer of
            var theirs = Marshal.GetDelegateForFunctionPointer(backward, _type!);
            Backward ours = (tensors, count) =>
            {
                try
                {
                    return Unsafe.As<Backward>(theirs)(tensors, count);
                }
                catch (Exception e)
                {
                    NativeError.SetThrown($"The backward of a custom function threw {e.GetType().Name}: {e.Message}");
                    return default;
                }
            };
            Kept.Add(theirs.Target!, ours);
            return Marshal.GetFunctionPointerForDelegate(ours);
        }
        catch (Exception e) when (e is ArgumentException or InvalidCastException)
        {
            return backward;
        }
    }
}
