using System.Diagnostics;
using System.Text;
using Amari.Distributed;

namespace Amari.Tests.Distributed;

/// <summary>Starts ranks with the installed launcher and reads what they say.</summary>
internal sealed class MpiJob : IDisposable
{
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(120);
    private readonly Process _process;
    private readonly StringBuilder _text = new();
    private readonly CountdownEvent _open = new(2); // streams

    private MpiJob(string file, IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo(file, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        start.Environment["OMP_WAIT_POLICY"] = "PASSIVE";
        start.Environment["DOTNET_TieredPGO"] = "0";
        Processes.LeaveNothing(start);
        start.Environment["OMPI_MCA_mpi_yield_when_idle"] = "1";
        _process = new() { StartInfo = start };
        _process.OutputDataReceived += Read;
        _process.ErrorDataReceived += Read;
        _process.Start();
        _process.StandardInput.Close();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    /// <summary>The launcher of Open MPI, or whatever MPI is installed; null if none.</summary>
    public static string? Launcher => Find("mpirun.openmpi") ?? Find("mpirun");

    /// <summary>A program of the PATH; null if it is not there.</summary>
    public static string? Find(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, program))
            .FirstOrDefault(File.Exists);

    /// <summary>Skips the test where no MPI is installed.</summary>
    public static string Need()
    {
        Assert.SkipWhen(Launcher is null, "MPI is not installed: apt-get install openmpi-bin");
        return Launcher!;
    }

    /// <summary>All output so far, both streams.</summary>
    public string Text
    {
        get
        {
            lock (_text)
                return _text.ToString();
        }
    }

    /// <summary>Starts ranks of a program beside the tests.</summary>
    public static MpiJob Start(int ranks, string program, params string[] arguments) => StartBy(Need(), ranks, program, arguments);

    /// <summary>As <see cref="Start"/>, by a certain launcher.</summary>
    public static MpiJob StartBy(string launcher, int ranks, string program, params string[] arguments)
    {
        string[] options = IsMpich(launcher) ? [] : ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];
        return new(launcher, [.. options, "-np", $"{ranks}", .. Program(program), .. arguments]);
    }

    /// <summary>Any command.</summary>
    public static MpiJob StartCommand(string file, params string[] arguments) => new(file, arguments);

    /// <summary>What starts a program beside the tests.</summary>
    public static string[] Program(string name) => ["dotnet", Path.Combine(AppContext.BaseDirectory, name + ".dll")];

    private static bool IsMpich(string launcher) =>
        Path.GetFileName(launcher).Contains("mpich", StringComparison.Ordinal)
        || new FileInfo(launcher).ResolveLinkTarget(true)?.Name.Contains("hydra", StringComparison.Ordinal) == true;

    private void Read(object sender, DataReceivedEventArgs e)
    {
        if (e.Data is null)
            _open.Signal();
        // the runtime puts terminals into application mode, seen or not
        if (
            e.Data?.Replace("\u001b[?1h\u001b=", "", StringComparison.Ordinal).Replace("\u001b[?1h", "", StringComparison.Ordinal)
            is not { } line
        )
            return;
        lock (_text)
            _text.Append(line).Append('\n');
    }

    /// <summary>Waits for a line that matches and gives the rest of it.</summary>
    public string WaitFor(string beginning)
    {
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < Longest; Thread.Sleep(20))
            if (Text.Split('\n').FirstOrDefault(l => l.Contains(beginning, StringComparison.Ordinal)) is { } line)
                return line[(line.IndexOf(beginning, StringComparison.Ordinal) + beginning.Length)..].Trim();
        throw new TimeoutException($"'{beginning}' did not come; there is: {Text}");
    }

    /// <summary>Waits for the end of all ranks.</summary>
    public (int Code, string Text) Finish()
    {
        if (!_process.WaitForExit(Longest))
        {
            _process.Kill(entireProcessTree: true);
            throw new TimeoutException($"The job did not end; it said: {Text}");
        }
        // what is still in the streams; not for ever, for a process that a cut link orphaned may hold them open
        _open.Wait(TimeSpan.FromSeconds(5));
        return (_process.ExitCode, Text);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill(entireProcessTree: true);
        _process.Dispose();
    }
}
