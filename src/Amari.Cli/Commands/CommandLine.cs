using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Parsing;
using Amari.Distributed;
using Amari.Native;
using Amari.Training;
using Amari.Workloads.Data;

namespace Amari.Cli.Commands;

/// <summary>The tool <c>amari</c>. Exit codes: 0 on success, 1 for a failed or interrupted run, 2 for invalid arguments, with one line on
/// standard error.</summary>
public static class CommandLine
{
    internal const string TraceVariable = "AMARI_TRACE";

    /// <summary>Parses and runs a command line. Does not throw for user errors.</summary>
    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        if (Launcher.Rank > 0)
            output = TextWriter.Null; // only rank 0 prints
        var parsed = Parse(output);
        if (IsJsonOnOutput(parsed))
            parsed = Parse(error); // standard output has only the JSON
        if ((OptionError(parsed) ?? ParseError(parsed)) is { } wrong)
        {
            if (Launcher.Rank > 0)
                Thread.Sleep(2000); // an error of all ranks is printed by rank 0, and the launcher ends the others
            error.WriteLine((Launcher.Rank > 0 ? $"Rank {Launcher.Rank} of {Launcher.Size}: " : "") + wrong.ReplaceLineEndings(" "));
            return 2;
        }
        if (Launcher.Size > 1 && !Ranks.Commands.Contains(parsed.CommandResult.Command.Name))
            return Fail(2, $"{parsed.CommandResult.Command.Name} runs in a single process: start it without the MPI launcher.");
        try
        {
            return parsed.Invoke(
                new()
                {
                    Output = output,
                    Error = error,
                    EnableDefaultExceptionHandler = false,
                }
            );
        }
        catch (Exception e) when (!IsTracing || IsExpected(e))
        {
            var (code, line) = Describe(e);
            return Fail(code, line);
        }

        ParseResult Parse(TextWriter text) => Root(text).Parse(args.Length == 0 ? ["--help"] : args);

        int Fail(int code, string line)
        {
            if (Launcher.Rank == 0)
                error.WriteLine(line);
            return code;
        }
    }

    private static RootCommand Root(TextWriter text)
    {
        var root = new RootCommand(
            "Adaptive and second-order optimization for neural networks: compare optimizers such as K-FAC and AdamW on real data."
        )
        {
            CompareCommand.Create(text),
            TrainCommand.Create(text),
            ReportCommand.Create(text),
            PlanCommand.Create(text),
            VerifyCommand.Create(text),
            LectureCommand.Create(text),
            SpectrumCommand.Create(text),
            LandscapeCommand.Create(text),
            InfoCommand.Create(text),
        };
        if (!ReferenceEquals(text, Console.Out) && root.Options.OfType<HelpOption>().First().Action is HelpAction help)
            help.MaxWidth = int.MaxValue; // lines are only wrapped on a terminal
        return root;
    }

    /// <summary>The parser's error, if any: one that names the wrong value is preferred.</summary>
    private static string? ParseError(ParseResult parsed) =>
        parsed.Errors is [var first, ..]
            ? (parsed.Errors.FirstOrDefault(e => e.Message.Contains('\'', StringComparison.Ordinal)) ?? first).Message
            : null;

    /// <summary>What is wrong with an option that does not exist, which the parser takes for an argument, such as the workload, or for the
    /// value of the option before it; or with one that exists, but stands where the value of another should. Null if there is
    /// none.</summary>
    private static string? OptionError(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        HashSet<string> arguments =
        [
            .. parsed.UnmatchedTokens,
            .. command.Arguments.SelectMany(a => parsed.GetResult(a)?.Tokens ?? []).Select(t => t.Value),
        ];
        var tokens = parsed.Tokens.TakeWhile(t => t.Type != TokenType.DoubleDash).ToList();
        int at = tokens.FindIndex(t => t.Type == TokenType.Argument && IsUnknown(t.Value));
        if (at < 0)
            return null;
        string[] names = [.. command.Options.Select(o => o.Name)];
        string name = tokens[at].Value.Split('=', ':')[0],
            near = string.Join(", ", NearNames.Of(name, names).Take(3));
        return names.Contains(name) && at > 0
            ? $"{tokens[at - 1].Value} has no value: {name} is another option."
            : $"There is no option {name} for {(command is RootCommand ? "amari" : command.Name)}; the nearest are {near}.";

        // -1 and -inf may be values of options
        bool IsUnknown(string text) =>
            text is ['-', '-', _, ..] || (text is ['-', var letter, ..] && char.IsAsciiLetter(letter) && arguments.Contains(text));
    }

    private static bool IsJsonOnOutput(ParseResult parsed) =>
        parsed.Errors.Count == 0
        && parsed
            .CommandResult.Command.Options.Where(o => o.Name is CommonOptions.JsonName or LogArguments.LinesName)
            .Any(o => parsed.GetValue((Option<string?>)o) is { } path && OutputTarget.IsOutput(path));

    /// <summary>Whether unexpected errors are shown with their stack trace.</summary>
    internal static bool IsTracing => Environment.GetEnvironmentVariable(TraceVariable) is not null;

    /// <summary>Runs the part of a command after all arguments are accepted: any error in it is a failed run.</summary>
    internal static T Running<T>(Func<T> run)
    {
        try
        {
            return run();
        }
        catch (Exception e) when (IsArgument(e) && e is not UnlikeRanksException)
        {
            throw new FailedRunException(e);
        }
    }

    /// <summary>Reads a file that the command line names: what is wrong with it is wrong with an argument.</summary>
    internal static T Reading<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (InvalidDataException e)
        {
            throw new ArgumentException(e.Message, e);
        }
    }

    /// <inheritdoc cref="Reading{T}"/>
    internal static void Reading(Action read) =>
        Reading(() =>
        {
            read();
            return true;
        });

    private sealed class FailedRunException(Exception inner) : Exception(Unexpected(inner), inner);

    private static string Unexpected(Exception e, string what = "The run failed") =>
        $"{what}: {e.Message.Split('\n')[0].Trim()} ({EarlierFailure.KindOf(e)}; set {TraceVariable}=1 for a stack trace)";

    /// <summary>Writes one line to standard error about a failed run with written results, and the stack trace if requested.</summary>
    internal static void ReportFailure(ParseResult parsed, string what, Exception why)
    {
        var error = parsed.InvocationConfiguration.Error;
        error.WriteLine(Unexpected(why, what));
        if (IsTracing)
            error.WriteLine(why);
    }

    /// <summary>The command line as text that a POSIX shell reads.</summary>
    internal static string TextOf(ParseResult parsed) => string.Join(' ', parsed.Tokens.Select(t => Quoted(t.Value)).Prepend("amari"));

    private static string Quoted(string word) =>
        word.Length > 0 && word.All(c => char.IsLetterOrDigit(c) || "-_./:=,+@%".Contains(c, StringComparison.Ordinal))
            ? word
            : $"'{word.Replace("'", @"'\''", StringComparison.Ordinal)}'";

    /// <summary>Whether an error is due to invalid arguments.</summary>
    internal static bool IsArgument(Exception e) =>
        e is ArgumentException or FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException;

    private static bool IsExpected(Exception e) =>
        IsArgument(e)
        || e is InvalidDataException or IOException or CommunicationException
        || TorchLibrary.Status.State == TorchLibraryState.Failed;

    /// <summary>The exit code and the message of an error.</summary>
    internal static (int Code, string Line) Describe(Exception e) =>
        e switch
        {
            _ when IsArgument(e) => (2, e.Message.Split(" (Parameter")[0].ReplaceLineEndings(" ")),
            InvalidDataException or IOException or CommunicationException => (1, e.Message.ReplaceLineEndings(" ")),
            _ when TorchLibrary.Status is { State: TorchLibraryState.Failed } status => (1, status.Message.ReplaceLineEndings(" ")),
            FailedRunException => (1, e.Message),
            _ => (1, Unexpected(e)),
        };
}
