using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Amari.Native;

/// <summary>Keeps patched libraries in the user's cache directory, one folder for each SHA-256 of the original, and loads them.</summary>
internal static class PatchedCopy
{
    /// <summary>Patches and loads a library; whatever it links to must be loaded already.</summary>
    /// <param name="original">The full path of the library as shipped, which stays untouched.</param>
    /// <param name="path">The copy that was loaded.</param>
    /// <exception cref="InvalidDataException">See <see cref="SymbolVersionPatch.Apply"/>.</exception>
    /// <exception cref="IOException">Neither the cache nor the temporary directory can hold and run the copy.</exception>
    public static nint Load(string original, out string path)
    {
        var shipped = File.ReadAllBytes(original);
        var patched = SymbolVersionPatch.Apply(shipped);
        var name = Path.GetFileName(original);
        if (Cache is { } cache)
        {
            var handle = TryLoad(path = Path.Combine(cache, "amari", Convert.ToHexStringLower(SHA256.HashData(shipped)), name), patched);
            if (handle != 0) return handle;
        }
        return LoadOnce(name, patched, out path);
    }

    /// <summary>Loads from a fresh folder that only this user may enter, so that nobody else can plant a library; a loaded file may be deleted.</summary>
    private static nint LoadOnce(string name, byte[] content, out string path)
    {
        DirectoryInfo? folder = null;
        try
        {
            folder = Directory.CreateTempSubdirectory("amari-");
            var handle = TryLoad(path = Path.Combine(folder.FullName, name), content);
            if (handle != 0) return handle;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // reported below
        }
        finally
        {
            folder?.Delete(recursive: true);
        }
        throw new IOException($"neither {Cache ?? "the home directory"} nor {Path.GetTempPath()} can hold and run a library");
    }

    private static nint TryLoad(string target, byte[] content)
    {
        try
        {
            if (!File.Exists(target) || !File.ReadAllBytes(target).AsSpan().SequenceEqual(content)) Write(target, content);
            return NativeLibrary.Load(target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or DllNotFoundException)
        {
            return 0;   // read-only, full, or mounted noexec
        }
    }

    /// <summary>Writes beside the target and renames, so that another process sees the whole file or none.</summary>
    private static void Write(string target, byte[] content)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(target)!);
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

    private static string? Cache => new[]
    {
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME"),
        Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify), ".cache"),
    }.FirstOrDefault(Path.IsPathRooted);
}
