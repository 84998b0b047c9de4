using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;
using Amari.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The destination of a document: a file, which is written completely or not at all, or any other output: standard output, a pipe
/// or a device.</summary>
internal sealed partial class OutputTarget
{
    private const string Output = "-";
    private const int Interrupted = 4; // EINTR
    private static readonly int TryAgain = OperatingSystem.IsLinux() ? 11 : 35; // EAGAIN, on Linux and on macOS
    private const long AccessMode = 3,
        ReadOnly = 0,
        CloseOnExec = 0x80000; // of open
    private const int FileType = 0xF000,
        RegularFile = 0x8000,
        ModeOffset = 28,
        StatBytes = 256,
        CurrentFolder = -100; // of statx

    /// <summary>The descriptors of standard output and standard error.</summary>
    public const int OutputDescriptor = 1,
        ErrorDescriptor = 2;

    private readonly Action<byte[]> _write;
    private readonly Func<bool, Stream>? _open; // for lines, appending or not; null if each line is written as a document

    private OutputTarget(string option, string name, string? file, Action<byte[]> write, Func<bool, Stream>? open = null) =>
        (Option, Name, File, _write, _open) = (option, name, file, write, open);

    /// <summary>The option that set it on the command line.</summary>
    public string Option { get; }

    /// <summary>The path as the user wrote it.</summary>
    public string Name { get; }

    /// <summary>The file after resolving all links; null for other outputs.</summary>
    public string? File { get; }

    /// <summary>Checks whether a document can be written, before there is one.</summary>
    /// <param name="option">The option that sets it on the command line.</param>
    /// <param name="path">A path, or <c>-</c> for standard output.</param>
    /// <param name="replace">Whether an existing file may be replaced.</param>
    /// <param name="output">Standard output.</param>
    /// <exception cref="ArgumentException">The path is a folder, a file that may not be replaced, or a descriptor that is not
    /// open.</exception>
    public static OutputTarget Of(string option, string path, bool replace, TextWriter output)
    {
        if (IsOutput(path) && !ReferenceEquals(output, Console.Out))
            return new(option, path, null, bytes => Print(output, bytes));
        if (DescriptorOf(path) is { } descriptor) // not by the console, which drops what a closed pipe does not take
            return IsInherited(descriptor)
                ? new(option, path, null, bytes => Write(descriptor, bytes))
                : throw new ArgumentException($"{option} is '{path}', which is not open for writing.");
        if (Directory.Exists(path))
            throw new ArgumentException($"{option} is '{path}', which is a folder; it must be a file.");
        if (!IsRegular(path))
            return new(option, path, null, bytes => Stream(path, bytes), _ => Stream(path));
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
            throw new ArgumentException($"{option} is '{path}', which already exists; choose another file or use --overwrite.");
        return new(
            option,
            path,
            target,
            bytes =>
            {
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                AtomicFile.Write(target, bytes, replace);
            },
            append =>
            {
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                var mode =
                    append ? FileMode.Append
                    : replace ? FileMode.Create
                    : FileMode.CreateNew;
                return new FileStream(target, mode, FileAccess.Write, FileShare.Read, bufferSize: 0);
            }
        );
    }

    /// <summary>Whether a path is standard output: <c>-</c>, <c>/dev/stdout</c>, or a link to it.</summary>
    public static bool IsOutput(string path) => DescriptorOf(path) == OutputDescriptor;

    /// <summary>Writes the document. Outputs other than files get a line end after it.</summary>
    /// <exception cref="IOException">It could not be written. An existing file is unchanged.</exception>
    /// <exception cref="UnauthorizedAccessException">It could not be written. An existing file is unchanged.</exception>
    public void Write(string document) => _write(Encoding.UTF8.GetBytes(document));

    /// <summary>Opens the output for lines, which appear there one by one. A pipe stays open in between.</summary>
    /// <param name="append">Whether the lines of an existing file stay.</param>
    /// <exception cref="ArgumentException">It cannot be opened.</exception>
    public LineWriter Open(bool append)
    {
        if (_open is null)
            return new(Write);
        try
        {
            var stream = _open(append);
            return new(line => stream.Write(Encoding.UTF8.GetBytes(line + "\n")), stream);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"{Option} is '{Name}', which cannot be written to: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>Whether both lead to the same place.</summary>
    public bool IsSameAs(OutputTarget other) =>
        File is not null ? File == other.File : other.File is null && (Name == other.Name || IsOutput(Name) && IsOutput(other.Name));

    private static void Print(TextWriter output, byte[] document)
    {
        output.WriteLine(Encoding.UTF8.GetString(document));
        output.Flush();
    }

    /// <summary>The number of the descriptor that a path names, directly or over links.</summary>
    private static int? DescriptorOf(string path)
    {
        if (path == Output)
            return OutputDescriptor;
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
                    "stderr" => ErrorDescriptor,
                    _ => int.Parse(match.Groups["number"].Value, CultureInfo.InvariantCulture),
                };
            if (new FileInfo(at).LinkTarget is not { } next)
                return null;
            at = Path.GetFullPath(next, Path.GetDirectoryName(at)!);
        }
        return null;
    }

    /// <summary>Whether a descriptor is open for writing and inherited. The runtime's own descriptors are all closed on exec.</summary>
    public static bool IsInherited(int descriptor)
    {
        const string folder = "/proc/self/fdinfo";
        if (!OperatingSystem.IsLinux() || !Directory.Exists(folder))
            return true;
        string file = $"{folder}/{descriptor}";
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

    /// <summary>Whether a path leads to a regular file or does not exist. A pipe, a device or a socket is not regular.</summary>
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
        using var stream = Stream(path);
        stream.Write([.. document, (byte)'\n']);
    }

    private static FileStream Stream(string path) =>
        new(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);

    private static void Write(int descriptor, byte[] document)
    {
        byte[] rest = [.. document, (byte)'\n'];
        if (OperatingSystem.IsWindows()) // where only standard output has a number
        {
            using var stream = Console.OpenStandardOutput();
            stream.Write(rest);
            return;
        }
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
