namespace Amari.Training;

/// <summary>An open output to which lines are written one by one, each immediately and as a whole.</summary>
/// <param name="write">Writes a line.</param>
/// <param name="stream">What is open until disposal, if anything.</param>
internal sealed class LineWriter(Action<string> write, Stream? stream = null) : IDisposable
{
    /// <exception cref="IOException">The line could not be written.</exception>
    public void Write(string line) => write(line);

    /// <inheritdoc/>
    public void Dispose() => stream?.Dispose();
}
