using System.Globalization;
using System.Runtime.InteropServices;
using Amari.Reporting;

namespace Amari.Cli.Commands;

/// <summary>Handles signals. The first Ctrl-C, the scheduler's termination signal, or the signal of a closing terminal stops the command
/// and keeps its results. A second Ctrl-C or termination signal ends the process. A closing terminal may send several signals, so its
/// signal never does.</summary>
/// <remarks>A signal that is ignored from the start, as with <c>nohup</c>, stays ignored.</remarks>
internal sealed class Interrupt : IDisposable
{
    private const string ShowCursor = "\u001b[?25h";
    private const string Ignored = "SigIgn:";
    private static readonly (PosixSignal Signal, int Number)[] Signals =
    [
        (PosixSignal.SIGINT, 2),
        (PosixSignal.SIGTERM, 15),
        (PosixSignal.SIGHUP, 1),
    ];

    private readonly CancellationTokenSource _source = new();
    private readonly HashSet<PosixSignal> _seen = [];
    private readonly PosixSignalRegistration[] _signals;

    public Interrupt() =>
        _signals = [.. Signals.Where(s => !IsIgnored(s.Number)).Select(s => PosixSignalRegistration.Create(s.Signal, Signalled))];

    public CancellationToken Token => _source.Token;

    /// <summary>Stops the command as the first Ctrl-C does; the next one ends the process. Later requests do nothing.</summary>
    public void Request()
    {
        lock (_seen)
            if (_seen.Add(PosixSignal.SIGINT))
                _source.Cancel();
    }

    private void Signalled(PosixSignalContext signal)
    {
        bool isFirst;
        lock (_seen)
            isFirst = _seen.Add(signal.Signal);
        if (!isFirst && signal.Signal != PosixSignal.SIGHUP)
        {
            if (!Console.IsOutputRedirected)
                Console.Write(ShowCursor); // the live table hid it
            return;
        }
        signal.Cancel = true;
        _source.Cancel();
    }

    /// <summary>Whether the process started with a signal ignored, as Linux reports it.</summary>
    private static bool IsIgnored(int number)
    {
        const string status = "/proc/self/status";
        if (!OperatingSystem.IsLinux() || !File.Exists(status))
            return false;
        string? line = File.ReadLines(status).FirstOrDefault(l => l.StartsWith(Ignored, StringComparison.Ordinal));
        return line is not null
            && ulong.TryParse(line[Ignored.Length..].Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong mask)
            && (mask >> (number - 1) & 1) == 1;
    }

    public void Dispose()
    {
        foreach (var signal in _signals)
            signal.Dispose();
        _source.Dispose();
    }
}
