using System.Globalization;
using System.Runtime.InteropServices;
using Amari.Reporting;

namespace Amari.Cli.Commands;

/// <summary>The first Ctrl-C, the signal by which a scheduler ends a job, or that of a terminal that closes asks for a stop that keeps what
/// was done. A second Ctrl-C, or a second one of the scheduler's, ends the process; a terminal that closes often sends several signals, and
/// never does.</summary>
/// <remarks>A signal that is ignored from the start, as <c>nohup</c> arranges it, stays ignored.</remarks>
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

    /// <summary>Whether the process was started with a signal ignored; Linux says so.</summary>
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
