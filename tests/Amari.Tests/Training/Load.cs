namespace Amari.Tests.Training;

/// <summary>Threads that use all processors until it is disposed.</summary>
internal sealed class Load : IDisposable
{
    private readonly Thread[] _threads;
    private volatile bool _over;

    public Load()
    {
        _threads =
        [
            .. Enumerable
                .Range(0, 2 * Environment.ProcessorCount)
                .Select(_ => new Thread(() =>
                {
                    while (!_over)
                        Thread.SpinWait(1000);
                })),
        ];
        foreach (var thread in _threads)
            thread.Start();
    }

    public void Dispose()
    {
        _over = true;
        foreach (var thread in _threads)
            thread.Join();
    }
}
