using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Puts methods of ours in the place of native functions that TorchSharp calls.</summary>
/// <remarks> The runtime keeps the address of each native function in a word of its method's description, through which compiled code calls
/// it. There the address of ours is written. The word is found by its value, the function's address, once the method is linked: code that
/// was compiled ahead of time (ReadyToRun) links at the first call and not before. Whether calls come to ours is then tried. Ours has the
/// signature of the native function, is <see cref="UnmanagedCallersOnlyAttribute"/>, counts its calls if they are tried, and must not
/// throw. </remarks>
internal static unsafe class Diversion
{
    private const int Words = 12; // where the address is looked for; it is the fifth word in .NET 10

    /// <summary>How many calls of this thread came to ours; each that is tried adds one.</summary>
    [ThreadStatic]
    public static long Calls;

    /// <summary>Puts a method of ours in the place of a native function.</summary>
    /// <param name="declaration">TorchSharp's declaration, as a <see cref="MethodInfo"/> writes it: another version may have
    /// another.</param>
    /// <param name="ours">The address of our method.</param>
    /// <param name="call">Calls the function through TorchSharp; null for one that takes a delegate, whose callers read the word each
    /// time.</param>
    /// <param name="original">The address of the native function; set before ours can be called.</param>
    /// <returns>Why ours is not there, in words that follow "because"; null where it is.</returns>
    public static string? TryPut(string declaration, nint ours, Action? call, out nint original)
    {
        original = 0;
        if (Find(typeof(torch).Assembly, declaration, out var method) is { } reason)
            return reason;
        if (
            !NativeLibrary.TryLoad("LibTorchSharp", method!.Module.Assembly, null, out var library)
            || !NativeLibrary.TryGetExport(library, method.Name, out original)
        )
            return $"its native library has no {method.Name}";
        if (call is null)
            Marshal.Prelink(method);
        else
            call(); // from here on the word holds the address
        var words = new Span<nint>((void*)method.MethodHandle.Value, Words);
        int word = words.IndexOf(original);
        if (word < 0)
            return $"{RuntimeInformation.FrameworkDescription} keeps the address of {method.Name} elsewhere";
        Volatile.Write(ref words[word], ours);
        long before = Calls;
        call?.Invoke();
        if (call is null || Calls > before)
            return null;
        Volatile.Write(ref words[word], original);
        return $"the code that calls {method.Name} was compiled before: use something of Amari before TorchSharp";
    }

    /// <summary>The method that declares a native function.</summary>
    /// <returns>Why it is not known here; null where it is.</returns>
    internal static string? Find(Assembly torchSharp, string declaration, out MethodInfo? method)
    {
        string name = declaration[
            (declaration.IndexOf(' ', StringComparison.Ordinal) + 1)..declaration.IndexOf('(', StringComparison.Ordinal)
        ];
        method = torchSharp
            .GetType("TorchSharp.PInvoke.NativeMethods")
            ?.GetMember(name, MemberTypes.Method, BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic)
            .OfType<MethodInfo>()
            .FirstOrDefault(m => m.ToString() == declaration);
        return method is not null && RuntimeFeature.IsDynamicCodeCompiled
            ? null
            : $"{torchSharp.GetName().Name} {torchSharp.GetName().Version?.ToString(3)} on {RuntimeInformation.FrameworkDescription} has "
                + $"no {declaration}";
    }
}
