using Spectre.Console;

namespace Amari.Tests.Reporting;

/// <summary>A terminal of so many columns that keeps what is written to it.</summary>
internal sealed class Terminal(StringWriter writer, int width) : IAnsiConsoleOutput
{
    public TextWriter Writer => writer;
    public bool IsTerminal => true;
    public int Width => width;
    public int Height => 24;

    public void SetEncoding(System.Text.Encoding encoding) { }
}
