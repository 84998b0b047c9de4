namespace Amari.Tests.Training;

/// <summary>Takes what is reported at once, on the thread that reports it.</summary>
internal sealed class Collect<T>(Action<T> take) : IProgress<T>
{
    public void Report(T value) => take(value);
}
