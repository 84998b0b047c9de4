using Amari.Cli.Commands;

namespace Amari.Tests.Cli;

/// <summary>The command-line tool, in this process.</summary>
internal static class Tool
{
    /// <summary>Runs <c>amari</c> with these arguments.</summary>
    public static (int Code, string Output, string Error) Run(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        return (CommandLine.Run(args, output, error), output.ToString(), error.ToString());
    }
}
