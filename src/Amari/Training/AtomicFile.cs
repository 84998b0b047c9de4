using System.Runtime.InteropServices;

namespace Amari.Training;

/// <summary>Replaces a file as a whole: readers and crashes see the old content or the new, never a part.</summary>
internal static partial class AtomicFile
{
    /// <summary>The pattern that temporary files of <see cref="Write"/> match: a killed run may leave some.</summary>
    public static string TemporaryPattern(string fileName) => $"{fileName}.*.tmp";

    /// <summary>Writes a temporary file next to <paramref name="path"/>, flushes it to disk and renames it.</summary>
    /// <exception cref="IOException">The disk refused; the temporary file is gone and the old content stays.</exception>
    public static void Write(string path, Action<FileStream> write)
    {
        var temporary = $"{path}.{Path.GetRandomFileName()}.tmp";
        try
        {
            using (var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 1 << 16))
            {
                write(file);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
        if (!OperatingSystem.IsWindows())
            FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Finds a folder writable, making it if need be; what is in it stays.</summary>
    /// <exception cref="ArgumentException">It is a file, or cannot be made or written to; one sentence says why.</exception>
    public static void Probe(string folder)
    {
        if (File.Exists(folder)) throw new ArgumentException($"'{folder}' is a file; it must be a folder.");
        try
        {
            Directory.CreateDirectory(folder);
            string probe = Path.Combine(folder, Path.GetRandomFileName());
            File.WriteAllText(probe, "");
            File.Delete(probe);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"The folder '{folder}' cannot be written to: {e.Message}", e);
        }
    }

    /// <summary>Makes the rename itself durable. Best effort: some file systems refuse, and the file is whole either way.</summary>
    private static void FlushFolder(string folder)
    {
        var descriptor = Open(folder, flags: 0);
        if (descriptor < 0)
            return;
        _ = Flush(descriptor);
        _ = Close(descriptor);
    }

    [LibraryImport("libc", EntryPoint = "open", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags);

    [LibraryImport("libc", EntryPoint = "fsync")]
    private static partial int Flush(int descriptor);

    [LibraryImport("libc", EntryPoint = "close")]
    private static partial int Close(int descriptor);
}
