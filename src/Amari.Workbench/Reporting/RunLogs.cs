using Amari.Training;

namespace Amari.Reporting;

/// <summary>The logs of a command. Owns them.</summary>
internal sealed class RunLogs(params IProgress<RunProgress>[] logs) : IProgress<RunProgress>, IDisposable
{
    public void Report(RunProgress value)
    {
        foreach (var log in logs)
            log.Report(value);
    }

    public void Dispose()
    {
        foreach (var log in logs)
            (log as IDisposable)?.Dispose();
    }
}
