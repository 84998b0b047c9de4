using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;

namespace Amari.Native;

/// <summary>Keeps patched libraries in the user's cache directory, one folder for each SHA-256 of the original, and loads them.</summary>
internal static partial class PatchedCopy
{
    private const uint CloseOnExec = 1; // MFD_CLOEXEC

    /// <summary>Patches and loads a library; whatever it links to must be loaded already.</summary>
    /// <param name="original">The full path of the library as shipped, which stays untouched.</param>
    /// <param name="path">The copy that was loaded.</param>
    /// <exception cref="InvalidDataException">See <see cref="SymbolVersionPatch.Apply"/>.</exception>
    /// <exception cref="IOException">Neither the cache nor a file in memory can hold and run the copy.</exception>
    public static nint Load(string original, out string path)
    {
        var shipped = File.ReadAllBytes(original);
        var patched = SymbolVersionPatch.Apply(shipped);
        var name = Path.GetFileName(original);
        if (Cache is { } cache)
        {
            var handle = TryLoad(path = Path.Combine(cache, "amari", Convert.ToHexStringLower(SHA256.HashData(shipped)), name), patched);
            if (handle != 0)
                return handle;
        }
        return LoadFromMemory(name, patched, out path);
    }

    /// <summary>Loads from memory: there is no file that a kill leaves behind, or that somebody else could plant.</summary>
    private static nint LoadFromMemory(string name, byte[] content, out string path)
    {
        path = $"/memfd:{name}"; // as the system lists it
        int descriptor = CreateInMemory(name, CloseOnExec);
        if (descriptor >= 0)
        {
            using var memory = new FileStream(new SafeFileHandle(descriptor, ownsHandle: true), FileAccess.Write, bufferSize: 0);
            memory.Write(content);
            if (TryLoad($"/proc/self/fd/{descriptor}") is var handle && handle != 0)
                return handle;
        }
        throw new IOException($"neither {Cache ?? "the home directory"} nor a file in memory can hold and run a library");
    }

    private static nint TryLoad(string file)
    {
        try
        {
            return NativeLibrary.Load(file);
        }
        catch (DllNotFoundException)
        {
            return 0;
        }
    }

    [LibraryImport("libc", EntryPoint = "memfd_create", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int CreateInMemory(string name, uint flags);

    private static nint TryLoad(string target, byte[] content)
    {
        try
        {
            if (!File.Exists(target) || !File.ReadAllBytes(target).AsSpan().SequenceEqual(content))
                Write(target, content);
            return NativeLibrary.Load(target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DllNotFoundException)
        {
            return 0; // read-only, full, or mounted noexec
        }
    }

    /// <summary>Writes beside the target and renames, so that another process sees the whole file or none.</summary>
    private static void Write(string target, byte[] content)
    {
        string folder = Path.GetDirectoryName(target)!;
        Directory.CreateDirectory(folder);
        foreach (string stray in Directory.GetFiles(folder, Path.GetFileName(target) + ".*")) // of a process that was killed
            if (File.GetLastWriteTimeUtc(stray) < DateTime.UtcNow - TimeSpan.FromHours(1))
                File.Delete(stray);
        var fresh = $"{target}.{Environment.ProcessId}-{Guid.NewGuid():n}";
        try
        {
            using (var stream = File.Create(fresh))
            {
                stream.Write(content);
                stream.Flush(flushToDisk: true);
            }
            File.Move(fresh, target, overwrite: true);
        }
        finally
        {
            File.Delete(fresh);
        }
    }

    private static string? Cache =>
        new[]
        {
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME"),
            Path.Combine(
                Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify),
                ".cache"
            ),
        }.FirstOrDefault(Path.IsPathRooted);
}
