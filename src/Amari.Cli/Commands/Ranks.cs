using System.Runtime.CompilerServices;
using Amari.Distributed;

namespace Amari.Cli.Commands;

/// <summary>A command on the ranks of a job: <c>mpirun -np 4 amari train ...</c>. Rank 0 prints and writes; a rank that fails ends the job with one line that names it.</summary>
internal static class Ranks
{
    /// <summary>Commands that run on several ranks; others are refused there.</summary>
    public static IReadOnlyList<string> Commands { get; } = ["train", "compare", "info"];

    /// <summary>Runs a command on the launcher's ranks, or on this process alone.</summary>
    public static int Run(TimeSpan? timeout, Func<Communicator, int> command)
    {
        var world = Communicator.FromLauncher(timeout);
        if (world.Size == 1) return command(world);
        try
        {
            int code = command(world);
            world.Dispose();
            return code;
        }
        catch (AgreedException)
        {
            world.Dispose();
            throw;
        }
        catch (Exception e)
        {
            var (code, line) = CommandLine.Told(e);
            world.Abort(CommandLine.IsTracing ? e.ToString() : line, code);   // the others may be waiting: there is no orderly way back
            throw;
        }
    }

    /// <summary>What can be refused before the ranks depend on each other: what fails on one rank fails on all, with one line.</summary>
    public static T Agree<T>(this Communicator world, Func<T> setup)
    {
        if (world.Size == 1) return setup();
        T result = default!;
        string failure = "";
        try
        {
            result = setup();
        }
        catch (Exception e) when (CommandLine.IsArgument(e))
        {
            failure = CommandLine.Told(e).Line;
        }
        var failures = world.AllGather(failure);
        int rank = failures.ToList().FindIndex(f => f.Length > 0);
        if (rank < 0) return result;
        if (result is ITuple parts)
            for (int i = 0; i < parts.Length; i++) (parts[i] as IDisposable)?.Dispose();
        throw new AgreedException(rank == 0 ? failures[0] : $"Rank {rank} of {world.Size}: {failures[rank]}");
    }

    /// <summary>Thrown on every rank.</summary>
    private sealed class AgreedException(string message) : ArgumentException(message);
}
