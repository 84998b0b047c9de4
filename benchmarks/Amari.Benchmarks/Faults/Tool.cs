using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Amari.Training;

namespace Amari.Benchmarks.Faults;

/// <summary>A process of the command-line tool.</summary>
internal sealed partial class Tool : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(180);
    private readonly Process _process;
    private readonly StringBuilder _output = new(),
        _error = new();

    private Tool(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
            start.Environment[name] = value;
        _process = new() { StartInfo = start };
        _process.OutputDataReceived += (_, e) => Append(_output, e.Data);
        _process.ErrorDataReceived += (_, e) => Append(_error, e.Data);
        _process.Start();
        _process.StandardInput.Close();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>The command that starts the tool.</summary>
    public static IReadOnlyList<string> Command => ["dotnet", Path.Combine(AppContext.BaseDirectory, "Amari.Cli.dll")];

    /// <summary>Starts <c>amari</c> with these arguments.</summary>
    public static Tool Start(params IEnumerable<string> arguments) => StartWith(new Dictionary<string, string>(), arguments);

    /// <summary>The same with variables of the environment.</summary>
    public static Tool StartWith(IReadOnlyDictionary<string, string> environment, params IEnumerable<string> arguments) =>
        new(Command[0], [Command[1], .. arguments], environment);

    /// <summary>Starts any program.</summary>
    public static Tool StartProgram(string program, params IEnumerable<string> arguments) => new(program, arguments, null);

    /// <summary>Runs <c>amari</c> to its end.</summary>
    public static (int Code, string Output, string Error) Run(params IEnumerable<string> arguments)
    {
        using var tool = Start(arguments);
        return tool.End();
    }

    /// <summary>A program of the PATH; null if it is not there.</summary>
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);

    /// <summary>Of the process.</summary>
    public int Id => _process.Id;

    /// <summary>Whether it is over.</summary>
    public bool HasExited => _process.HasExited;

    /// <summary>Sends a signal to a process.</summary>
    public static void Signal(int process, int signal) => _ = Kill(process, signal);

    /// <summary>Sends a signal to it.</summary>
    public void Signal(int signal) => Signal(Id, signal);

    /// <summary>Whether this process, and so its children, ignore a signal, as those of <c>nohup</c> and of a shell's background
    /// do.</summary>
    public static bool Ignores(int signal)
    {
        string? line = File.Exists("/proc/self/status")
            ? File.ReadLines("/proc/self/status").FirstOrDefault(l => l.StartsWith("SigIgn:", StringComparison.Ordinal))
            : null;
        return line is not null
            && (ulong.Parse(line[7..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture) >> (signal - 1) & 1) == 1;
    }

    /// <summary>Waits until something holds; false if the process was over before, or it took too long.</summary>
    public bool WaitUntil(Func<bool> holds)
    {
        for (long start = Stopwatch.GetTimestamp(); !HasExited && Stopwatch.GetElapsedTime(start) < Longest; Thread.Sleep(2))
            if (holds())
                return true;
        return false;
    }

    /// <summary>Waits for the end. A process that does not end is killed, with the code -1.</summary>
    public (int Code, string Output, string Error) End()
    {
        bool ended = _process.WaitForExit(Longest);
        if (!ended)
            _process.Kill(entireProcessTree: true);
        _process.WaitForExit();
        return (ended ? _process.ExitCode : -1, Text(_output), Text(_error));
    }

    private static void Append(StringBuilder text, string? line)
    {
        if (line is not null)
            lock (text)
                text.Append(line).Append('\n');
    }

    private static string Text(StringBuilder text)
    {
        lock (text)
            return text.ToString();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }

    [LibraryImport("libc", EntryPoint = "kill")]
    private static partial int Kill(int process, int signal);
}
