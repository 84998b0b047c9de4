using System.IO.Enumeration;
using System.Text;
using Amari.Serialization;
using Amari.Training;
using Amari.Verification;

namespace Amari.Reporting;

/// <summary>The folder of results, checked to be writable before training and locked against other processes. Files that the tool did not
/// write are never replaced; its own are replaced only if the user asks for it. Results that cannot be written there in the end go to a
/// private folder elsewhere. Disposal deletes the folders that it created if nothing was written to them.</summary>
internal sealed class ResultFolder : IDisposable
{
    /// <summary>The machine-readable result.</summary>
    public const string Document = "result.json";

    /// <summary>What runs write there besides results, by patterns.</summary>
    private static readonly string[] Others =
    [
        Manifest.FileName,
        FolderLock.FileName,
        ComparisonFile.Unfinished,
        CheckpointDirectory.Pattern,
        BestWeights.FileName,
    ];

    private readonly IReadOnlyList<string> _files; // patterns, the machine-readable result first
    private readonly string[] _made; // created folders, innermost first
    private readonly FolderLock.Holder _hold;
    private readonly Manifest _manifest;
    private readonly OutputTarget? _json;
    private readonly TextWriter _output,
        _error;
    private readonly HashSet<string> _written = [];
    private readonly bool _overwrite;
    private string? _elsewhere;
    private bool _isRefused,
        _isIncomplete; // interim results; --json

    private ResultFolder(
        string path,
        bool overwrite,
        IReadOnlyList<string> files,
        OutputTarget? json,
        string[] made,
        FolderLock.Holder hold,
        TextWriter output,
        TextWriter error
    )
    {
        (Path, _overwrite, _files, _json, _made, _hold) = (path, overwrite, files, json, made, hold);
        (_output, _error) = (output, error);
        _manifest = new(path);
    }

    /// <summary>The folder that the user requested, or the new one that was chosen.</summary>
    public string Path { get; }

    /// <param name="requested">The value of --out; null for a new numbered folder under <c>out/</c>.</param>
    /// <param name="overwrite">Whether existing results may be replaced.</param>
    /// <param name="name">The stem of a new folder.</param>
    /// <param name="json">The destination of --json.</param>
    /// <param name="files">Patterns of the files that are going to be written, the machine-readable result first; null for
    /// <c>result.json</c> only.</param>
    /// <param name="output">Receives the result if no folder can be written to; by default the console's output.</param>
    /// <param name="error">Receives a message if results go elsewhere; by default the console's error stream.</param>
    /// <exception cref="ArgumentException">The folder holds files that may not be replaced, cannot be written to, or is in use by another
    /// process; or --json names a file that is written there anyway, and is not the machine-readable result.</exception>
    public static ResultFolder Prepare(
        string? requested,
        bool overwrite,
        string name,
        OutputTarget? json,
        IReadOnlyList<string>? files = null,
        TextWriter? output = null,
        TextWriter? error = null
    )
    {
        if (requested is not null)
            return Open(requested);
        for (int i = 1; ; i++)
        {
            string path = System.IO.Path.GetFullPath(FormattableString.Invariant($"out/{name}-{i:D3}"));
            try
            {
                if (!System.IO.Path.Exists(path))
                    return Open(path);
            }
            catch (ArgumentException e) when (e.InnerException is FolderInUseException)
            {
                // Another process took this number first.
            }
        }

        ResultFolder Open(string path)
        {
            if (File.Exists(path))
                throw new ArgumentException($"--out is '{path}', which is a file; it must be a folder.");
            files ??= [Document];
            Check(path, overwrite, files);
            string[] needed = json?.File is { } file ? [path, System.IO.Path.GetDirectoryName(file)!] : [path];
            string[] made = [.. needed.SelectMany(Missing).Distinct().OrderByDescending(f => f.Length)];
            try
            {
                foreach (string folder in needed)
                    AtomicFile.Probe(folder);
                if (json is { File: not null } && IsDocument(json, path, files, $", or {files[0]}"))
                    json = null; // it is written there in any case
                return new(path, overwrite, files, json, made, FolderLock.Take(path), output ?? Console.Out, error ?? Console.Error);
            }
            catch (Exception e) when (e is ArgumentException or FolderInUseException)
            {
                TakeBack(made);
                throw e is FolderInUseException ? new ArgumentException(e.Message, e) : e;
            }
        }

        static IEnumerable<string> Missing(string folder)
        {
            for (
                string? f = System.IO.Path.GetFullPath(folder);
                f is not null && !Directory.Exists(f);
                f = System.IO.Path.GetDirectoryName(f)
            )
                yield return f;
        }
    }

    /// <summary>Whether an output is the machine-readable result of the folder.</summary>
    /// <param name="json">The output.</param>
    /// <param name="path">The folder.</param>
    /// <param name="files">Patterns of the files that are written there, the machine-readable result first.</param>
    /// <param name="alternative">What else the user may choose, as the end of a sentence.</param>
    /// <exception cref="ArgumentException">It is another file of the folder, or a folder around it.</exception>
    private static bool IsDocument(OutputTarget json, string path, IReadOnlyList<string> files, string alternative)
    {
        string name = System.IO.Path.GetRelativePath(Real(path), Real(json.File!));
        if (name == files[0])
            return true;
        string[] parts = name.Split(System.IO.Path.DirectorySeparatorChar);
        if (Array.TrueForAll(parts, p => p is "." or ".."))
            throw Refused("which is the folder of the results or one around it; it must be a file.");
        for (int i = 1; i <= parts.Length; i++)
            if (files.Concat(Others).Any(p => Matches(p, string.Join('/', parts[..i]))))
                throw Refused($"which the command itself writes in '{path}': choose another name{alternative}.");
        return false;

        ArgumentException Refused(string why) => new($"{json.Option} is '{json.Name}', {why}");

        static bool Matches(string pattern, string file) =>
            System.IO.Path.GetDirectoryName(pattern) == System.IO.Path.GetDirectoryName(file)
            && FileSystemName.MatchesSimpleExpression(System.IO.Path.GetFileName(pattern), System.IO.Path.GetFileName(file));

        // of existing folders, so that no links go in a circle
        static string Real(string path)
        {
            string file = AtomicFile.Target(System.IO.Path.GetFullPath(path));
            return System.IO.Path.GetDirectoryName(file) is { } folder
                ? System.IO.Path.Combine(Real(folder), System.IO.Path.GetFileName(file))
                : file;
        }
    }

    private static void Check(string path, bool overwrite, IEnumerable<string> patterns)
    {
        if (!Directory.Exists(path))
            return;
        var manifest = new Manifest(path);
        var there =
            from pattern in patterns
            let folder = System.IO.Path.Combine(path, System.IO.Path.GetDirectoryName(pattern) ?? "")
            where Directory.Exists(folder)
            from file in Directory.EnumerateFileSystemEntries(folder, System.IO.Path.GetFileName(pattern))
            select System.IO.Path.GetRelativePath(path, file);
        foreach (string name in there)
            if (!overwrite)
                throw new ArgumentException($"'{path}' holds results already ({name}); choose another folder or use --overwrite.");
            else if (!manifest.Owns(name))
                throw new ArgumentException(
                    $"'{System.IO.Path.Combine(path, name)}' was not written by this tool or has changed: move it away, or choose "
                        + "another folder."
                );
    }

    /// <summary>Refuses an output that the command writes itself.</summary>
    /// <exception cref="ArgumentException">It is the destination of --json, or a file of the folder.</exception>
    public void RequireOther(OutputTarget output)
    {
        if (_json?.IsSameAs(output) == true)
            throw new ArgumentException($"{output.Option} is '{output.Name}', and so is {_json.Option}: choose different outputs.");
        if (output.File is not null && IsDocument(output, Path, _files, ""))
            throw new ArgumentException($"{output.Option} is '{output.Name}', which the command itself writes: choose another name.");
    }

    /// <summary>The full path of a file in the folder.</summary>
    public string FileNamed(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>The path of a result file relative to the current folder, wherever it was written.</summary>
    public string PathOf(string name) => Relative(System.IO.Path.Combine(_elsewhere ?? Path, name));

    /// <summary>A path relative to the current folder.</summary>
    public static string Relative(string file)
    {
        try
        {
            return System.IO.Path.GetRelativePath(Environment.CurrentDirectory, file);
        }
        catch (IOException) // the current folder was deleted
        {
            return file;
        }
    }

    /// <summary>Writes a file atomically; elsewhere, if the folder cannot be written to.</summary>
    /// <returns>The path of the file.</returns>
    public string Write(string name, byte[] content)
    {
        if (_elsewhere is null)
            try
            {
                WriteHere(name, content);
                return FileNamed(name);
            }
            catch (Exception e) when (IsRefusal(e))
            {
                Leave(e);
            }
        return WriteElsewhere(name, content);
    }

    /// <summary>Writes a text file atomically; elsewhere, if the folder cannot be written to.</summary>
    public string Write(string name, string text) => Write(name, Encoding.UTF8.GetBytes(text));

    /// <summary>Writes a file that a later one replaces. If the folder cannot be written to, one warning is reported.</summary>
    public void WriteInterim(string name, string text)
    {
        try
        {
            WriteHere(name, Encoding.UTF8.GetBytes(text));
        }
        catch (Exception e) when (IsRefusal(e))
        {
            if (!_isRefused)
                _error.WriteLine($"The results so far could not be written to '{Path}'; the command continues: {Reason(e)}");
            _isRefused = true;
        }
    }

    /// <summary>Opens a file for appending; null, with a warning, if the folder cannot be written to.</summary>
    public FileStream? Append(string name)
    {
        try
        {
            Take(name);
            _manifest.AddGrowing(name);
            return new(FileNamed(name), FileMode.Create, FileAccess.Write, FileShare.Read);
        }
        catch (Exception e) when (IsRefusal(e))
        {
            _error.WriteLine($"'{FileNamed(name)}' is not written: {Reason(e)}");
            return null;
        }
    }

    /// <summary>Writes the machine-readable result, and what --json asks for.</summary>
    public void WriteResult(string json)
    {
        Write(_files[0], json);
        if (!Deliver(_json, json, _error))
            _isIncomplete = true;
    }

    /// <summary>Writes the destination of --json, if there is one.</summary>
    /// <returns>Whether it succeeded; if not, a line reports it.</returns>
    public static bool Deliver(OutputTarget? target, string json, TextWriter error)
    {
        try
        {
            target?.Write(json);
            return true;
        }
        catch (Exception e) when (IsRefusal(e))
        {
            error.WriteLine($"{target!.Option} '{target.Name}' could not be written: {Reason(e)}");
            return false;
        }
    }

    /// <summary>The exit code of a command: 1 if results could not be written to the requested place, otherwise its own.</summary>
    public int ExitCode(int code) => code == 0 && (_elsewhere is not null || _isIncomplete) ? 1 : code;

    /// <inheritdoc/>
    public void Dispose()
    {
        _hold.Dispose();
        TakeBack(_made);
    }

    private static void TakeBack(IEnumerable<string> made)
    {
        foreach (string folder in made)
            if (Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any())
                Directory.Delete(folder);
    }

    private void WriteHere(string name, byte[] content)
    {
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(FileNamed(name))!);
        Take(name);
        _manifest.Add(name, content);
        AtomicFile.Write(FileNamed(name), content, replace: _overwrite || _written.Contains(name));
        _written.Add(name);
    }

    /// <summary>Throws for a file that this command may not replace, and deletes incomplete files of killed commands.</summary>
    private void Take(string name)
    {
        if (_written.Contains(name))
            return;
        if (System.IO.Path.Exists(FileNamed(name)) && !(_overwrite && _manifest.Owns(name)))
            throw new IOException($"'{FileNamed(name)}' exists, but this command did not write it.");
        string file = FileNamed(name),
            folder = System.IO.Path.GetDirectoryName(file)!;
        foreach (string stray in Directory.GetFiles(folder, AtomicFile.TemporaryPattern(System.IO.Path.GetFileName(file))))
            File.Delete(stray);
    }

    private void Leave(Exception why)
    {
        _elsewhere = PrivateFolder.Write(folder => AtomicFile.Write(System.IO.Path.Combine(folder, Manifest.FileName), []));
        if (_elsewhere is not null)
        {
            _error.WriteLine($"'{Path}' cannot be written to ({Reason(why)}); the remaining results are in '{_elsewhere}'.");
            return;
        }
        _elsewhere = "";
        _error.WriteLine(
            $"Neither '{Path}' nor the current folder nor the home directory can be written to ({Reason(why)}); "
                + $"{_files[0]} follows on standard output."
        );
    }

    private string WriteElsewhere(string name, byte[] content)
    {
        string file = System.IO.Path.Combine(_elsewhere!, name);
        try
        {
            if (_elsewhere!.Length > 0)
            {
                Directory.CreateDirectory(System.IO.Path.GetDirectoryName(file)!);
                AtomicFile.Write(file, content);
            }
            else if (name == _files[0])
                _output.WriteLine(Encoding.UTF8.GetString(content));
        }
        catch (Exception e) when (IsRefusal(e))
        {
            _error.WriteLine($"'{file}' could not be written: {Reason(e)}");
        }
        return file;
    }

    private static string Reason(Exception e) => e.Message.ReplaceLineEndings(" ").TrimEnd('.');

    private static bool IsRefusal(Exception e) => e is IOException or UnauthorizedAccessException;
}
