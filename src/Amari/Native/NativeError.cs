using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Errors of ours that TorchSharp throws as it throws libtorch's.</summary>
/// <remarks>A method of ours that is called in the place of a native function (<see cref="Diversion"/>) cannot throw. It leaves the text
/// here and returns nothing; TorchSharp then asks for the error of the call, and throws an <see cref="ExternalException"/> with the text.
/// What a user's own backward throws on the way through libtorch is kept until the error that libtorch makes of it is asked for. Where
/// TorchSharp's questions do not come here, the text goes to standard error; TorchSharp then throws of what was not returned.</remarks>
internal static unsafe class NativeError
{
    private const string Marker = "invalid number of gradients"; // what libtorch says of a backward that returned none

    private static nint _original;
    private static bool _installed;

    [ThreadStatic]
    private static string? _next,
        _thrown;

    [ThreadStatic]
    private static nint _text; // the last one, freed with the next

    /// <summary>Puts the question for errors through here; once.</summary>
    /// <returns>Why it cannot be, in words that follow "because"; null where it is.</returns>
    public static string? TryInstall()
    {
        var why = Diversion.TryPut(
            "IntPtr THSTorch_get_and_reset_last_err()",
            (nint)(delegate* unmanaged<nint>)&Take,
            CheckForErrors,
            out _original
        );
        _installed = why is null;
        return why;
    }

    /// <summary>The error of the call that is under way on this thread.</summary>
    public static void Set(string text)
    {
        if (_installed)
            _next = text;
        else
            Write(text);
    }

    /// <summary>What a user's backward threw; the text of the error that the backward pass on this thread ends with.</summary>
    public static void SetThrown(string text)
    {
        if (_installed)
            _thrown = text;
        else
            Write(text);
    }

    /// <summary>Writes a line to standard error from where nothing may be thrown.</summary>
    public static void Write(string text)
    {
        try
        {
            Warnings.Once(text);
        }
        catch (IOException)
        {
            // There is nobody to read it.
        }
    }

    [UnmanagedCallersOnly]
    private static nint Take()
    {
        Diversion.Calls++;
        if (_next is { } next)
        {
            _next = null;
            return Native(next);
        }
        nint error = ((delegate* unmanaged<nint>)_original)();
        if (error == 0 || _thrown is not { } thrown)
            return error;
        _thrown = null;
        return Marshal.PtrToStringAnsi(error)!.Contains(Marker, StringComparison.Ordinal) ? Native(thrown) : error;
    }

    private static nint Native(string text)
    {
        Marshal.FreeHGlobal(_text);
        return _text = Marshal.StringToHGlobalAnsi(text);
    }
}
