using System.Runtime.InteropServices;

namespace Amari.Cli.Commands;

/// <summary>The first Ctrl-C (or the signal by which a scheduler ends a job) asks for a stop that keeps what was done; the second one ends the process.</summary>
internal sealed class Interrupt : IDisposable
{
    private const string ShowCursor = "\u001b[?25h";
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _signals;

    public Interrupt() =>
        _signals = [PosixSignalRegistration.Create(PosixSignal.SIGINT, Signalled), PosixSignalRegistration.Create(PosixSignal.SIGTERM, Signalled)];

    public CancellationToken Token => _source.Token;

    private void Signalled(PosixSignalContext signal)
    {
        if (_source.IsCancellationRequested)
        {
            if (!Console.IsOutputRedirected) Console.Write(ShowCursor);   // the live table hid it
            return;
        }
        signal.Cancel = true;
        _source.Cancel();
    }

    public void Dispose()
    {
        foreach (var signal in _signals) signal.Dispose();
        _source.Dispose();
    }
}
