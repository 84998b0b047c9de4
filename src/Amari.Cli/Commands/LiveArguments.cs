using System.CommandLine;
using System.Globalization;
using Amari.Reporting;
using Amari.Training;

namespace Amari.Cli.Commands;

/// <summary><c>--live</c>: a page that shows the runs while they train. It belongs to one process.</summary>
internal sealed class LiveArguments
{
    /// <summary>The option.</summary>
    public const string Name = "--live";

    /// <summary>The ports that can be chosen.</summary>
    public const int MinPort = 1,
        MaxPort = 65535;

    private readonly Option<int> _live = new(Name)
    {
        Description =
            "serve a page that shows the runs while they train, with a button that stops them, on this port of 127.0.0.1 (without PORT "
            + "or with 0: a free one, which is printed)",
        HelpName = "PORT",
        Arity = ArgumentArity.ZeroOrOne,
        CustomParser = result =>
        {
            if (result.Tokens.Count == 0)
                return 0;
            string text = result.Tokens[0].Value;
            if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int port) && port <= MaxPort)
                return port;
            result.AddError(
                $"{Name} is '{text}'; it must be a port from {MinPort} to {MaxPort}, or 0 or nothing for a free one (a workload comes "
                    + "before it)."
            );
            return 0;
        },
    };

    public Option Option => _live;

    public void AddTo(Command command) => command.Add(_live);

    /// <summary>What the page says at the end of a command.</summary>
    public static string EndOf(IReadOnlyList<BenchmarkResult> results, ResultFolder folder) =>
        (
            results.Any(c => c.Runs.Any(r => r.Status == RunStatus.Interrupted)) ? "The runs were stopped."
            : results.Sum(c => c.Runs.Count) == 1 ? "The run has ended."
            : "The runs have ended."
        ) + $" The report is in {ResultFolder.Relative(folder.Path)}.";

    /// <summary>Whether an option is this one, which may differ between ranks.</summary>
    public static bool Has(Option option) => option.Name == Name;

    /// <summary>The server of the command line, whose address is printed; null without the option, or where there is no folder of results,
    /// which only rank 0 has.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="folder">The folder of results, or null.</param>
    /// <param name="sections">The workloads, with the results of an earlier part.</param>
    /// <param name="interrupt">What the button does.</param>
    /// <exception cref="ArgumentException">The port cannot be used.</exception>
    public LiveServer? Open(ParseResult parsed, ResultFolder? folder, Func<IReadOnlyList<ReportSection>> sections, Interrupt interrupt)
    {
        if (folder is null || parsed.GetResult(_live) is not { Implicit: false })
            return null;
        var server = LiveServer.Start(parsed.GetValue(_live), sections(), interrupt.Request);
        parsed.InvocationConfiguration.Output.WriteLine($"Live view: http://127.0.0.1:{server.Port}/");
        return server;
    }
}
