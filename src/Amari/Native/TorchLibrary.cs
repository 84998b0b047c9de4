using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Loader;

namespace Amari.Native;

/// <summary>Lets TorchSharp's native library load on Linux systems whose libstdc++ is older than the library asks for.</summary>
/// <remarks>
/// Nothing has to be called. When Amari (or a program that references its package) starts, it subscribes to the event that .NET
/// raises after a native library was not found or could not be loaded; so on other systems, and where TorchSharp's
/// library loads as it is, nothing happens. In the event libtorch is loaded from where it lies, then the library itself, and if
/// that fails for the missing version, a patched copy (see <see cref="SymbolVersionPatch"/>). Later look-ups by TorchSharp find the copy
/// by its name, because the system's loader knows loaded libraries by their SONAME.
/// </remarks>
public static class TorchLibrary
{
    private const string Name = "LibTorchSharp";
    private static readonly Lock Gate = new(),
        Protecting = new();
    private static TorchLibraryStatus? status,
        whole;
    private static nint handle;

    /// <summary>Whether a failure is written to standard error; a program that reports <see cref="Status"/> itself turns it off.</summary>
    internal static bool ReportsFailure { get; set; } = true;

    /// <summary>How the library was loaded, whether the numbers it is given are protected, and whether its errors are exceptions. Loads it
    /// if no tensor was made yet, never throws, and stays the same from then on.</summary>
    public static TorchLibraryStatus Status => Volatile.Read(ref whole) ?? Whole();

    private static TorchLibraryStatus Whole()
    {
        lock (Protecting)
            return whole ??= Loaded is { State: not TorchLibraryState.Failed } loaded
                ? loaded with
                {
                    Unprotected = Protect(),
                    Unguarded = Guard(),
                }
                : Loaded;
    }

    private static string? Protect()
    {
        if (ScalarRelease.TryInstall() is not { } why)
            return null;
        string line = $"TorchSharp's numbers are not protected from the garbage collector, because {why}.";
        Warnings.Once(line + " Where another thread collects garbage, results may be wrong or the process may end.");
        return line;
    }

    private static string? Guard()
    {
        (string Errors, string? Reason)[] all =
        [
            ("errors in matmul may end the process", GuardedProduct.TryInstall()),
            ("errors in autograd.grad, cummax, cummin or set_rng_state may end the process", GuardedFunctions.TryInstall()),
            ("an exception in a custom backward may end the process", GuardedBackward.TryInstall()),
            ("a number that is converted to a type which it does not fit may end the process", GuardedConversion.TryInstall()),
            ("the texts of errors that Amari catches may be lost", NativeError.TryInstall()),
        ];
        var missing = all.Where(e => e.Reason is not null)
            .GroupBy(e => e.Reason, e => e.Errors)
            .Select(g => $"{string.Join(", ", g)}, because {g.Key}")
            .ToList();
        if (missing.Count == 0)
            return null;
        string line = $"In TorchSharp {string.Join("; ", missing)}.";
        Warnings.Once(line);
        return line;
    }

    private static TorchLibraryStatus Loaded
    {
        get
        {
            try
            {
                RuntimeHelpers.RunClassConstructor(typeof(torch).TypeHandle); // where TorchSharp loads the library
                return status ??= new(TorchLibraryState.NotNeeded, LoadedFile(), "TorchSharp's native library loads as it is.");
            }
            catch (TypeInitializationException e)
            {
                return status ??= new(TorchLibraryState.Failed, null, (e.InnerException ?? e).Message.Split('\n')[0].Trim());
            }
        }
    }

    /// <summary>Subscribes to the event; runs by itself, once.</summary>
    [ModuleInitializer]
    [SuppressMessage("Usage", "CA2255", Justification = "Loading must be arranged before any other code runs, without a call by the user.")]
    internal static void Register()
    {
        if (OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64)
            AssemblyLoadContext.GetLoadContext(typeof(torch).Assembly)!.ResolvingUnmanagedDll += Resolve;
    }

    private static nint Resolve(Assembly assembly, string name)
    {
        if (name != Name)
            return 0;
        lock (Gate)
        {
            if (status is null)
            {
                status = Load(out handle);
                // TorchSharp swallows what is thrown here and then blames a missing package.
                if (handle == 0 && ReportsFailure)
                    Console.Error.WriteLine($"Amari: {status.Message}");
            }
            return handle != 0 ? handle : throw new DllNotFoundException(status.Message);
        }
    }

    private static TorchLibraryStatus Load(out nint handle)
    {
        handle = 0;
        if (NativeFolders.Find("libLibTorchSharp.so") is not { } library)
            return Failed("TorchSharp's native library was not found: publish for linux-x64, with the files of the package TorchSharp.");
        if (NativeFolders.Find("libtorch.so") is not { } libtorch)
            return Failed(
                $"libtorch was not found: add the package libtorch-cpu-linux-x64 {NativeFolders.LibTorchVersion} to the program."
            );
        try
        {
            NativeLibrary.Load(libtorch); // from its own folder: the libraries it needs are beside it
            handle = NativeLibrary.Load(library);
            return new(TorchLibraryState.NotNeeded, library, "TorchSharp's native library loads as it is.");
        }
        catch (DllNotFoundException e) when (!e.Message.Contains(SymbolVersionPatch.Version, StringComparison.Ordinal))
        {
            var reason = e.Message.Split('\n', StringSplitOptions.RemoveEmptyEntries)[^1].Trim(); // the loader's own words come last
            return Failed(
                $"TorchSharp's native library does not load ({reason}): install what is missing, or add the package libtorch-cpu-linux-x64 "
                    + $"{NativeFolders.LibTorchVersion}."
            );
        }
        catch (DllNotFoundException)
        {
            return LoadPatched(library, out handle);
        }
    }

    private static TorchLibraryStatus LoadPatched(string library, out nint handle)
    {
        try
        {
            handle = PatchedCopy.Load(library, out var path);
            return new(
                TorchLibraryState.Patched,
                path,
                $"The system's libstdc++ lacks {SymbolVersionPatch.Version}: a patched copy of TorchSharp's native library is in use."
            );
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            handle = 0;
            return Failed(
                $"TorchSharp's native library needs {SymbolVersionPatch.Version}, which this system lacks, and could not be patched "
                    + $"({e.Message.TrimEnd('.')}): install libstdc++ of GCC 13.2 or newer (the package libstdc++6 of Debian 13 or Ubuntu "
                    + "24.04)."
            );
        }
    }

    private static TorchLibraryStatus Failed(string message) => new(TorchLibraryState.Failed, null, message);

    private static string? LoadedFile()
    {
        using var process = Process.GetCurrentProcess();
        return process
            .Modules.Cast<ProcessModule>()
            .FirstOrDefault(module => module.ModuleName.Contains(Name, StringComparison.Ordinal))
            ?.FileName;
    }
}
