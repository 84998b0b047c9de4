using System.CommandLine;
using System.Globalization;
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
    private readonly Option<int> _examples = CommonOptions.Integer(
        "--monitor-examples",
        "training examples of the monitor, drawn once",
        2,
        256
    );
    private readonly Option<double> _share = new("--monitor-share")
    {
        Description = "share of the run time for the monitor after its first measurement: 5% or 0.05",
        DefaultValueFactory = _ => 0.05,
        HelpName = "SHARE",
        CustomParser = result =>
        {
            string text = result.Tokens[0].Value;
            bool percent = text.EndsWith('%');
            if (
                double.TryParse(percent ? text[..^1] : text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)
                && (percent ? value / 100 : value) is >= 0 and < 1
            )
                return percent ? value / 100 : value;
            result.AddError($"--monitor-share is '{text}'; it must be a share such as 5% or 0.05, at least 0 and below 1.");
            return 0;
        },
    };

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
        if (((Option[])[_share, _examples]).FirstOrDefault(o => parsed.GetResult(o) is { Implicit: false }) is { } lone)
            throw new ArgumentException($"{lone.Name} needs --monitor with some of {string.Join(", ", MonitorOptions.Names)}, or all.");
        return null;
    }
}
