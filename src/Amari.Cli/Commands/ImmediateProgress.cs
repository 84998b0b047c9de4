using Amari.Reporting;

namespace Amari.Cli.Commands;

/// <summary>Reports progress immediately, on the calling thread.</summary>
internal sealed class ImmediateProgress<T>(Action<T> report) : IProgress<T>
{
    public void Report(T value) => report(value);
}
