using System.Runtime.InteropServices;

namespace Amari.Serialization;

/// <summary>Replaces a file atomically: readers, and a program that continues after a crash, see the old content or the new, never a
/// part.</summary>
internal static partial class AtomicFile
{
    private const int MaxLinks = 40; // the limit of Linux

    /// <summary>The pattern that matches the temporary files of <see cref="Write(string, Action{FileStream}, bool)"/>. A killed run may
    /// leave some.</summary>
    public static string TemporaryPattern(string fileName) => $"{fileName}.*.tmp";

    /// <summary>Writes a temporary file next to <paramref name="path"/>, flushes it to disk and renames it. If the path is a link, the link
    /// stays and its target is written. A replaced file keeps its mode.</summary>
    /// <param name="path">The file, or a link to it.</param>
    /// <param name="write">Writes the content. It may seek.</param>
    /// <param name="replace">Whether an existing file may be replaced.</param>
    /// <exception cref="IOException">The file system refused to write, or the file exists and may not be replaced. The temporary file is
    /// deleted and the old content stays.</exception>
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
            TryDelete(temporary);
            throw;
        }
        if (!OperatingSystem.IsWindows())
            FlushFolder(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>Writes bytes that are in memory.</summary>
    public static void Write(string path, byte[] content, bool replace = true) => Write(path, file => file.Write(content), replace);

    /// <summary>Resolves the links of a path. The file need not exist.</summary>
    /// <exception cref="IOException">There are too many links, or they form a circle.</exception>
    public static string Target(string path)
    {
        string target = path;
        for (int links = 0; new FileInfo(target).LinkTarget is { } next; links++)
        {
            if (links == MaxLinks)
                throw new IOException($"'{path}' is a link that leads through more than {MaxLinks} links.");
            target = Path.GetFullPath(next, Path.GetDirectoryName(Path.GetFullPath(target))!);
        }
        return target;
    }

    /// <summary>Checks that a folder is writable and creates it if necessary. Its content stays.</summary>
    /// <exception cref="ArgumentException">The path is a file, or the folder cannot be created or written to. The message says
    /// why.</exception>
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
        File.SetUnixFileMode(file.SafeFileHandle, kept); // regardless of the umask
        return file;
    }

    /// <summary>Deletes a file if possible. If the folder is read-only or gone by now, the first error is the one to report.</summary>
    private static void TryDelete(string file)
    {
        try
        {
            File.Delete(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }

    /// <summary>Makes the rename durable, if possible. Some file systems refuse; the file is complete either way.</summary>
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
