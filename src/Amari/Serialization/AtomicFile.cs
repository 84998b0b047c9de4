using System.Runtime.InteropServices;

namespace Amari.Serialization;

/// <summary>Replaces a file as a whole: readers and crashes see the old content or the new, never a part.</summary>
internal static partial class AtomicFile
{
    private const int MostLinks = 40; // as the kernel has it

    /// <summary>The pattern that temporary files of <see cref="Write(string, Action{FileStream}, bool)"/> match: a killed run may leave
    /// some.</summary>
    public static string TemporaryPattern(string fileName) => $"{fileName}.*.tmp";

    /// <summary>Writes a temporary file next to <paramref name="path"/>, flushes it to disk and renames it. A link stays, and what it
    /// points to is written; a file that is replaced passes its mode on.</summary>
    /// <param name="path">The file, or a link to it.</param>
    /// <param name="write">Writes the content; may seek.</param>
    /// <param name="replace">Whether a file that is there may be replaced.</param>
    /// <exception cref="IOException">The disk refused, or there is a file that may not be replaced; the temporary file is gone and the
    /// old content stays.</exception>
    public static void Write(string path, Action<FileStream> write, bool replace = true)
    {
        path = Target(path);
        var temporary = $"{path}.{Path.GetRandomFileName()}.tmp";
        UnixFileMode? mode = !OperatingSystem.IsWindows() && File.Exists(path) ? File.GetUnixFileMode(path) : null;
        try
        {
            using (var file = Create(temporary, mode))
            {
                write(file);
                file.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, replace);
        }
        catch
        {
            Forget(temporary);
            throw;
        }
        if (!OperatingSystem.IsWindows())
            FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>The same with the bytes at hand.</summary>
    public static void Write(string path, byte[] content, bool replace = true) => Write(path, file => file.Write(content), replace);

    /// <summary>The file that a path leads to, over links, whether it exists or not.</summary>
    /// <exception cref="IOException">The links go in a circle.</exception>
    public static string Target(string path)
    {
        string target = path;
        for (int links = 0; new FileInfo(target).LinkTarget is { } next; links++)
        {
            if (links == MostLinks)
                throw new IOException($"'{path}' is a link that leads through more than {MostLinks} links.");
            target = Path.GetFullPath(next, Path.GetDirectoryName(Path.GetFullPath(target))!);
        }
        return target;
    }

    /// <summary>Finds a folder writable, making it if need be; what is in it stays.</summary>
    /// <exception cref="ArgumentException">It is a file, or cannot be made or written to; one sentence says why.</exception>
    public static void Probe(string folder)
    {
        if (File.Exists(folder))
            throw new ArgumentException($"'{folder}' is a file; it must be a folder.");
        try
        {
            Directory.CreateDirectory(folder);
            new FileStream(
                Path.Combine(folder, Path.GetRandomFileName()),
                FileMode.CreateNew,
                FileAccess.Write,
                FileShare.None,
                1,
                FileOptions.DeleteOnClose
            ).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"The folder '{folder}' cannot be written to: {e.Message}", e);
        }
    }

    private static FileStream Create(string path, UnixFileMode? mode)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            Share = FileShare.None,
            BufferSize = 1 << 16,
        };
        if (OperatingSystem.IsWindows() || mode is not { } kept)
            return new(path, options);
        options.UnixCreateMode = kept;
        var file = new FileStream(path, options);
        File.SetUnixFileMode(file.SafeFileHandle, kept); // whatever the umask takes away
        return file;
    }

    /// <summary>Best effort: where the folder has become read-only or is gone, the first failure is the one to report.</summary>
    private static void Forget(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
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
