using System.CommandLine;
using System.Globalization;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary>The command line of a command that can be continued. It is saved completely, and merged with the arguments of the command line
/// that continues it.</summary>
/// <param name="command">The command.</param>
/// <param name="common">Its common options.</param>
/// <param name="unsaved">Options that belong to one process, or that <see cref="Of(ParseResult, Workload?, Budget?)"/> writes
/// itself.</param>
/// <param name="free">Options that may change when it is continued.</param>
/// <param name="stated">Options that are saved even if they have their defaults.</param>
internal sealed class ContinuedArguments(
    Command command,
    CommonOptions common,
    IReadOnlyCollection<Option> unsaved,
    IReadOnlyCollection<Option> free,
    IReadOnlyCollection<Option> stated
)
{
    private IEnumerable<Option> Saved => command.Options.Except([.. unsaved, common.Budget, common.Epochs]);

    /// <summary>The complete command line.</summary>
    /// <param name="parsed">The given command line.</param>
    /// <param name="workload">The workload; null for those of a command without a workload.</param>
    /// <param name="budget">The budget of a run; null for the workloads' own.</param>
    public IReadOnlyList<string> Of(ParseResult parsed, Workload? workload, Budget? budget) =>
        [
            .. workload is null ? (string[])[] : [workload.Name],
            .. (workload?.SettingValues.AsEnumerable() ?? []).SelectMany(s => (string[])[common.Set.Name, $"{s.Key}={s.Value}"]),
            .. budget switch
            {
                null => (string[])[],
                { Epochs: { } epochs } => [common.Epochs.Name, Text(epochs)],
                _ => [common.Budget.Name, budget.Seconds!.Value.ToString("0.#################", CultureInfo.InvariantCulture) + "s"],
            },
            .. Saved.SelectMany(o => Of(parsed, o)),
        ];

    private IEnumerable<string> Of(ParseResult parsed, Option option) =>
        parsed.GetResult(option) switch
        {
            { Implicit: false, Tokens: [] } => [option.Name],
            { Implicit: false } result => result.Tokens.SelectMany(t =>
                (string[])[option.Name, IsPath(option) ? Path.GetFullPath(t.Value) : t.Value]
            ),
            _ when stated.Contains(option) => [option.Name, Text(parsed.GetValue<object>(option.Name))],
            _ => [],
        };

    /// <summary>The saved command line, if the given arguments do not differ from it.</summary>
    /// <param name="parsed">The given command line.</param>
    /// <param name="saved">The result of <see cref="Of(ParseResult, Workload?, Budget?)"/>.</param>
    /// <param name="folder">The folder where it was saved, in words.</param>
    /// <exception cref="ArgumentException">The arguments differ, or the saved ones are not accepted here. The message gives the
    /// difference.</exception>
    public ParseResult Continue(ParseResult parsed, IReadOnlyList<string> saved, string folder)
    {
        var earlier = parsed.RootCommandResult.Command.Parse([command.Name, .. saved]);
        if (earlier.Errors is [var error, ..])
            throw new ArgumentException($"The arguments saved in {folder} are not accepted here: {error.Message}");
        if (parsed.GetValue(common.Workload) is { } workload)
            Same("workload", earlier.GetValue(common.Workload), workload);
        if (common.PairsOf(parsed) is { Count: > 0 } pairs)
        {
            var before = common.WorkloadOf(earlier);
            foreach (var (name, value) in before.With(pairs).SettingValues)
                Same(name, before.SettingValues[name], value);
        }
        if (parsed.GetValue(common.Budget) is not null || parsed.GetValue(common.Epochs) is not null)
            Same("a budget of", common.BudgetOf(earlier, null!), common.BudgetOf(parsed, null!));
        foreach (var option in Saved.Except(free))
            if (parsed.GetResult(option) is { Implicit: false })
                Same(option.Name, Value(earlier, option), Value(parsed, option));
        return earlier;

        void Same(string what, object? before, object? now)
        {
            if (!string.Equals(Text(before), Text(now), StringComparison.OrdinalIgnoreCase))
                throw new ArgumentException(
                    $"The comparison in {folder} was started with {what} {Text(before)}, but this command has {what} {Text(now)}: "
                        + "it cannot continue."
                );
        }
    }

    private static object? Value(ParseResult parsed, Option option) =>
        parsed.GetValue<object>(option.Name) switch
        {
            string path when IsPath(option) => Path.GetFullPath(path),
            string[] repeated => string.Join(" and ", repeated),
            string list => string.Join(",", CommaSeparated.Items(list)),
            var value => value,
        };

    private static bool IsPath(Option option) =>
        option.Name is CommonOptions.DataName or CommonOptions.AssemblyName or CommonOptions.CsvName;

    private static string Text(object? value) =>
        Convert.ToString(value, CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : "none";
}
