using System.CommandLine;
using System.CommandLine.Parsing;
using System.Runtime.CompilerServices;
using Amari.Distributed;
using Amari.Training;

namespace Amari.Cli.Commands;

/// <summary>Runs a command on the ranks of a job: <c>mpirun -np 4 amari train ...</c>. Rank 0 prints and writes. A rank that fails ends the
/// job with one line that names it.</summary>
internal static class Ranks
{
    /// <summary>Commands that run on several ranks. Others are refused there.</summary>
    public static IReadOnlyList<string> Commands { get; } = ["train", "compare", "info"];

    /// <summary>Runs a command on the launcher's ranks, which must have the same arguments, or on this process alone.</summary>
    public static int Run(ParseResult parsed, CommonOptions common, Func<Communicator, int> command)
    {
        if (!Launcher.IsPresent && CommonOptions.FirstGiven(parsed, common.ShardState, common.Overlap, common.RankTimeout) is { } lone)
            throw new ArgumentException($"{lone.Name} needs a launcher, such as mpirun -np 4 amari {parsed.CommandResult.Command.Name}.");
        var world = Communicator.FromLauncher(common.TimeoutOf(parsed));
        if (world.Size == 1)
            return command(world);
        try
        {
            Agree(
                world,
                parsed,
                [
                    common.Out,
                    common.Json,
                    common.Overwrite,
                    common.Data,
                    common.Threads,
                    common.RankTimeout,
                    common.Assembly,
                    common.Csv,
                    .. parsed.CommandResult.Command.Options.Where(o => LogArguments.Has(o) || LiveArguments.Has(o)),
                ]
            );
            int code = command(world);
            world.Dispose();
            return code;
        }
        catch (ArgumentException e) when (e is AgreedException or UnlikeRanksException)
        {
            world.Dispose();
            throw;
        }
        catch (Exception e)
        {
            var (code, line) = CommandLine.Describe(e);
            world.Abort(CommandLine.IsTracing ? e.ToString() : line, code); // the others may be waiting: an orderly end is impossible
            throw;
        }
    }

    /// <summary>Refuses different arguments before they are used.</summary>
    /// <param name="world">The ranks.</param>
    /// <param name="parsed">The arguments.</param>
    /// <param name="own">Options that may differ between ranks.</param>
    private static void Agree(Communicator world, ParseResult parsed, IReadOnlyList<Option> own)
    {
        var command = parsed.CommandResult.Command;
        var print = new Fingerprint().AddCode(typeof(Ranks).Assembly).Add("the command", command.Name);
        foreach (var symbol in command.Arguments.Cast<Symbol>().Concat(command.Options.Except(own)))
            print.Add(
                symbol.Name,
                parsed.GetResult(symbol) is { Tokens.Count: > 0 } given
                    ? string.Join(" ", given.Tokens.Select(t => t.Value))
                    : Default(parsed, symbol)
            );
        print.Agree(world);
    }

    private static string Default(ParseResult parsed, Symbol symbol) =>
        symbol is Option<bool> flag ? $"{parsed.GetValue(flag)}"
        : symbol is Option { HasDefaultValue: true } option ? $"{option.GetDefaultValue()}"
        : "not set";

    /// <summary>Runs the setup of all ranks. If it fails on one rank, it fails on all, with one line.</summary>
    public static T Agree<T>(this Communicator world, Func<T> setup)
    {
        if (world.Size == 1)
            return setup();
        T result = default!;
        string failure = "";
        try
        {
            result = setup();
        }
        catch (Exception e) when (CommandLine.IsArgument(e))
        {
            failure = CommandLine.Describe(e).Line;
        }
        var failures = world.AllGather(failure);
        int rank = failures.ToList().FindIndex(f => f.Length > 0);
        if (rank < 0)
            return result;
        if (result is ITuple parts)
            for (int i = 0; i < parts.Length; i++)
                (parts[i] as IDisposable)?.Dispose();
        throw new AgreedException(rank == 0 ? failures[0] : $"Rank {rank} of {world.Size}: {failures[rank]}");
    }

    /// <summary>Thrown on every rank.</summary>
    private sealed class AgreedException(string message) : ArgumentException(message);
}
