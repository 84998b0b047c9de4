namespace Amari.Cli.Commands;

/// <summary>The first Ctrl-C asks for a stop that keeps what was done; the second one ends the process.</summary>
internal sealed class Interrupt : IDisposable
{
    private readonly CancellationTokenSource _source = new();

    public Interrupt() => Console.CancelKeyPress += Pressed;

    public CancellationToken Token => _source.Token;

    private void Pressed(object? sender, ConsoleCancelEventArgs e)
    {
        if (_source.IsCancellationRequested) return;
        e.Cancel = true;
        _source.Cancel();
    }

    public void Dispose()
    {
        Console.CancelKeyPress -= Pressed;
        _source.Dispose();
    }
}
