using Amari.Reporting;

namespace Amari.Cli.Commands;

/// <summary>Tells progress at once, on the thread that works.</summary>
internal sealed class ImmediateProgress<T>(Action<T> tell) : IProgress<T>
{
    public void Report(T value) => tell(value);
}
