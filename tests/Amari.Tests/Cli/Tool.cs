using Amari.Cli.Commands;
using Amari.Training;

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

    /// <summary>Bad arguments give one line, which says <paramref name="expected"/>, and exit code 2.</summary>
    public static void AssertRefused(string expected, params string[] args)
    {
        var (code, _, error) = Run(args);
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }
}
