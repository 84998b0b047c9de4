using System.Diagnostics;

namespace Amari.Tests.Cli;

/// <summary>The command-line tool as a process of its own, to be signalled.</summary>
internal sealed class ToolProcess : IDisposable
{
    private const double LongestWait = 60; // seconds
    private readonly Process _process;
    private readonly Task<string> _output,
        _error;

    /// <param name="arguments">Of <c>amari</c>.</param>
    /// <param name="before">A command that runs it, such as <c>nohup</c>.</param>
    public ToolProcess(string[] arguments, params string[] before)
    {
        string[] line = [.. before, "dotnet", Path.Combine(AppContext.BaseDirectory, "Amari.Cli.dll"), .. arguments];
        var start = new ProcessStartInfo(line[0], line[1..]) { RedirectStandardOutput = true, RedirectStandardError = true };
        Processes.LeaveNothing(start);
        _process = Process.Start(start)!;
        (_output, _error) = (_process.StandardOutput.ReadToEndAsync(), _process.StandardError.ReadToEndAsync());
    }

    /// <summary>Waits until something holds; fails if the tool ends before.</summary>
    public async Task Until(Func<bool> holds)
    {
        for (long start = Stopwatch.GetTimestamp(); !holds(); await Task.Delay(2))
        {
            if (_process.HasExited)
                Assert.Fail((await _output) + await _error);
            Assert.True(Stopwatch.GetElapsedTime(start).TotalSeconds < LongestWait, "what was waited for did not come");
        }
    }

    /// <summary>Sends a signal by its name.</summary>
    public void Signal(string name)
    {
        using var kill = Process.Start("kill", ["-" + name, $"{_process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>Waits for its end.</summary>
    public async Task<(int Code, string Output, string Error)> End()
    {
        await _process.WaitForExitAsync();
        return (_process.ExitCode, await _output, WithoutStarvation(await _error));
    }

    /// <summary>Without what runs say on a busy machine, as that of the tests may be.</summary>
    public static string WithoutStarvation(string error) =>
        string.Concat(
            error
                .Split('\n')
                .Where(l => l.Length > 0 && !l.Contains("of the processor time that its threads could use", StringComparison.Ordinal))
                .Select(l => l + "\n")
        );

    public void Dispose()
    {
        if (!_process.HasExited)
            _process.Kill();
        _process.Dispose();
    }
}
