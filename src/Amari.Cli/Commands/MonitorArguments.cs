using System.CommandLine;
using Amari.Training;

namespace Amari.Cli.Commands;

/// <summary><c>--monitor</c> and its options.</summary>
internal sealed class MonitorArguments
{
    private readonly Option<string?> _names = new("--monitor")
    {
        Description = $"measure curvature during training: some of {string.Join(",", MonitorOptions.Names)}, or all",
        HelpName = "NAMES",
    };
    private readonly Option<int> _examples = TypedOptions.Integer(
        "--monitor-examples",
        "training examples of the monitor, drawn once",
        2,
        256
    );
    private readonly Option<double> _share = TypedOptions.Share(
        "--monitor-share",
        "share of the run time for the monitor between its first and its last measurement",
        0.05,
        s => s is >= 0 and < 1,
        "at least 0 and below 1"
    );

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_names, _share, _examples])
            command.Add(option);
    }

    /// <summary>The monitor options; null for no monitor.</summary>
    /// <exception cref="ArgumentException">A name is unknown, or an option of the monitor is set without --monitor.</exception>
    public MonitorOptions? Of(ParseResult parsed)
    {
        if (parsed.GetValue(_names) is { } names)
            return new()
            {
                Quantities = MonitorOptions.Parse(names),
                Share = parsed.GetValue(_share),
                Examples = parsed.GetValue(_examples),
            };
        if (CommonOptions.FirstGiven(parsed, _share, _examples) is { } lone)
            throw new ArgumentException($"{lone.Name} needs --monitor with some of {string.Join(", ", MonitorOptions.Names)}, or all.");
        return null;
    }
}
