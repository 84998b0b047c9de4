using System.Text;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>A console writer whose failures (a closed terminal, a full disk) do not end the work: failed output is dropped.</summary>
internal sealed class LastingWriter(TextWriter inner) : TextWriter
{
    /// <summary>A writer to a standard stream of the console. If the process was started without the stream, all output is dropped: the
    /// runtime may have given its descriptor to a file of its own.</summary>
    /// <param name="descriptor">Of the stream.</param>
    /// <param name="open">Opens it.</param>
    public static TextWriter Of(int descriptor, Func<TextWriter> open) =>
        OutputTarget.IsInherited(descriptor) ? new LastingWriter(open()) : Null;

    /// <inheritdoc/>
    public override Encoding Encoding => inner.Encoding;

    /// <inheritdoc/>
    public override void Write(char value) => Try(() => inner.Write(value));

    /// <inheritdoc/>
    public override void Write(char[] buffer, int index, int count) => Try(() => inner.Write(buffer, index, count));

    /// <inheritdoc/>
    public override void Write(string? value) => Try(() => inner.Write(value));

    /// <inheritdoc/>
    public override void WriteLine(string? value) => Try(() => inner.WriteLine(value));

    /// <inheritdoc/>
    public override void Flush() => Try(inner.Flush);

    private static void Try(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nobody can read the output or an error about it.
        }
    }
}
