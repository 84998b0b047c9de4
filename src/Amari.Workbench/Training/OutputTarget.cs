using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Amari.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Where a user wants a document: in a file, which then appears whole or not at all, or in whatever else takes bytes: standard
/// output, a pipe, a device.</summary>
internal sealed partial class OutputTarget
{
    private const string Output = "-";
    private const int OutputDescriptor = 1,
        Interrupted = 4,
        TryAgain = 11; // EINTR, EAGAIN
    private const long AccessMode = 3,
        ReadOnly = 0,
        CloseOnExec = 0x80000; // of open
    private const int FileType = 0xF000,
        RegularFile = 0x8000,
        ModeOffset = 28,
        StatBytes = 256,
        CurrentFolder = -100; // of statx
    private readonly Action<byte[]> _write;

    private OutputTarget(string option, string name, string? file, Action<byte[]> write) =>
        (Option, Name, File, _write) = (option, name, file, write);

    /// <summary>What named it on the command line.</summary>
    public string Option { get; }

    /// <summary>As the user named it.</summary>
    public string Name { get; }

    /// <summary>The file that is written, behind all links; null of anything else.</summary>
    public string? File { get; }

    /// <summary>Finds out, before there is anything to write, whether a document can go there.</summary>
    /// <param name="option">What names it on the command line.</param>
    /// <param name="path">A path, or <c>-</c> for standard output.</param>
    /// <param name="replace">Whether a file that is there may be replaced.</param>
    /// <param name="output">Standard output.</param>
    /// <exception cref="ArgumentException">It is a folder, a file that may not be replaced, or a descriptor that is not open.</exception>
    public static OutputTarget Of(string option, string path, bool replace, TextWriter output)
    {
        if (IsOutput(path))
            return new(option, path, null, bytes => output.WriteLine(Encoding.UTF8.GetString(bytes)));
        if (DescriptorOf(path) is { } descriptor)
            return IsInherited(descriptor)
                ? new(option, path, null, bytes => Write(descriptor, bytes))
                : throw new ArgumentException($"{option} is '{path}', which the command was not given to write to.");
        if (Directory.Exists(path))
            throw new ArgumentException($"{option} is '{path}', which is a folder; it must be a file.");
        if (!IsRegular(path))
            return new(option, path, null, bytes => Stream(path, bytes));
        string target;
        try
        {
            target = AtomicFile.Target(Path.GetFullPath(path));
        }
        catch (IOException e)
        {
            throw new ArgumentException($"{option}: {e.Message}", e);
        }
        if (System.IO.File.Exists(target) && !replace)
            throw new ArgumentException($"{option} is '{path}', which exists already; choose another file or say --overwrite.");
        return new(
            option,
            path,
            target,
            bytes =>
            {
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                AtomicFile.Write(target, bytes, replace);
            }
        );
    }

    /// <summary>Whether a path is standard output: <c>-</c>, <c>/dev/stdout</c>, or a link to it.</summary>
    public static bool IsOutput(string path) => path == Output || DescriptorOf(path) == OutputDescriptor;

    /// <summary>Writes the document; to what is not a file with a line end after it.</summary>
    /// <exception cref="IOException">It could not be written; a file that was there is as it was.</exception>
    /// <exception cref="UnauthorizedAccessException">The same.</exception>
    public void Write(string document) => _write(Encoding.UTF8.GetBytes(document));

    /// <summary>The number of the descriptor that a path names, itself or over links.</summary>
    private static int? DescriptorOf(string path)
    {
        if (OperatingSystem.IsWindows())
            return null;
        string at = Path.GetFullPath(path);
        for (int links = 0; links < 40; links++)
        {
            if (Descriptor().Match(at) is { Success: true } match)
                return match.Groups["name"].Value switch
                {
                    "stdin" => 0,
                    "stdout" => OutputDescriptor,
                    "stderr" => 2,
                    _ => int.Parse(match.Groups["number"].Value, CultureInfo.InvariantCulture),
                };
            if (new FileInfo(at).LinkTarget is not { } next)
                return null;
            at = Path.GetFullPath(next, Path.GetDirectoryName(at)!);
        }
        return null;
    }

    /// <summary>Whether a descriptor is open to write, and is not one of the runtime's own, which are all closed on exec.</summary>
    private static bool IsInherited(int descriptor)
    {
        if (!OperatingSystem.IsLinux())
            return true;
        string file = $"/proc/self/fdinfo/{descriptor}";
        const string key = "flags:";
        if (!System.IO.File.Exists(file))
            return false;
        string? line = System.IO.File.ReadLines(file).FirstOrDefault(l => l.StartsWith(key, StringComparison.Ordinal));
        if (line is null)
            return false;
        long flags = Convert.ToInt64(line[key.Length..].Trim(), 8);
        return (flags & AccessMode) != ReadOnly && (flags & CloseOnExec) == 0;
    }

    [GeneratedRegex(
        @"^(/dev/(?<name>stdin|stdout|stderr)|(/dev|/proc/(self|thread-self|\d+))/fd/(?<number>\d{1,9}))$",
        RegexOptions.ExplicitCapture
    )]
    private static partial Regex Descriptor();

    /// <summary>Whether a path leads to a regular file or to nothing yet; a pipe, a device or a socket is none.</summary>
    private static bool IsRegular(string path)
    {
        if (OperatingSystem.IsWindows() || !Path.Exists(path))
            return true;
        if (!OperatingSystem.IsLinux())
            return !Path.GetFullPath(path).StartsWith("/dev/", StringComparison.Ordinal);
        byte[] status = new byte[StatBytes];
        return Stat(CurrentFolder, path, 0, 1, status) != 0 || (BitConverter.ToUInt16(status, ModeOffset) & FileType) == RegularFile;
    }

    private static void Stream(string path, byte[] document)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        stream.Write([.. document, (byte)'\n']);
    }

    private static void Write(int descriptor, byte[] document)
    {
        byte[] rest = [.. document, (byte)'\n'];
        while (rest.Length > 0)
        {
            nint written = Write(descriptor, rest, rest.Length);
            int error = written < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (error == TryAgain)
                Thread.Sleep(10);
            else if (error is not (0 or Interrupted))
                throw new IOException(Marshal.GetPInvokeErrorMessage(error));
            if (written > 0)
                rest = rest[(int)written..];
        }
    }

    [LibraryImport("libc", EntryPoint = "statx", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Stat(int folder, string path, int flags, uint mask, byte[] status);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint Write(int descriptor, byte[] bytes, nint count);
}
