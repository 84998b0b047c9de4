using System.CommandLine;
using Amari.Distributed;
using Amari.Native;
using Amari.Training;

namespace Amari.Cli.Commands;

/// <summary>The tool <c>amari</c>: 0 on success, 1 on a failed or interrupted run, 2 on bad arguments with one line on standard
/// error.</summary>
public static class CommandLine
{
    internal const string TraceVariable = "AMARI_TRACE";

    /// <summary>Parses and runs; never throws for what a user did.</summary>
    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        if (Launcher.Rank > 0)
            output = TextWriter.Null; // rank 0 speaks for all
        var parsed = Parse(output);
        if (IsJsonOnOutput(parsed))
            parsed = Parse(error); // what a program reads has no other text in it
        if (parsed.Errors.Count > 0)
        {
            // what names the culprit
            var told = parsed.Errors.FirstOrDefault(e => e.Message.Contains('\'', StringComparison.Ordinal)) ?? parsed.Errors[0];
            if (Launcher.Rank > 0)
                Thread.Sleep(2000); // what all ranks refuse rank 0 says, and the launcher ends the others
            error.WriteLine((Launcher.Rank > 0 ? $"Rank {Launcher.Rank} of {Launcher.Size}: " : "") + told.Message.ReplaceLineEndings(" "));
            return 2;
        }
        if (Launcher.Size > 1 && !Ranks.Commands.Contains(parsed.CommandResult.Command.Name))
            return Fail(2, $"{parsed.CommandResult.Command.Name} runs in one process: start it without the MPI launcher.");
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

    private static RootCommand Root(TextWriter text) =>
        new("Adaptive and second-order optimization for neural networks: compare optimizers, K-FAC among them, on real data.")
        {
            CompareCommand.Create(text),
            TrainCommand.Create(text),
            PlanCommand.Create(text),
            VerifyCommand.Create(text),
            LectureCommand.Create(text),
            SpectrumCommand.Create(text),
            LandscapeCommand.Create(text),
            InfoCommand.Create(text),
        };

    private static bool IsJsonOnOutput(ParseResult parsed) =>
        parsed.Errors.Count == 0
        && parsed.CommandResult.Command.Options.FirstOrDefault(o => o.Name == CommonOptions.JsonName) is Option<string?> json
        && parsed.GetValue(json) is { } path
        && OutputTarget.IsOutput(path);

    /// <summary>Whether unexpected failures are shown with their stack.</summary>
    internal static bool IsTracing => Environment.GetEnvironmentVariable(TraceVariable) is not null;

    /// <summary>Runs what begins once all arguments are accepted: whatever fails in it is a failed run, of whatever type.</summary>
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

    private sealed class FailedRunException(Exception inner) : Exception(Unexpected(inner), inner);

    private static string Unexpected(Exception e, string what = "The run failed") =>
        $"{what}: {e.Message.Split('\n')[0].Trim()} ({EarlierFailure.KindOf(e)}; set {TraceVariable}=1 to see where)";

    /// <summary>Writes one line about a run that failed, whose results are written, to standard error; where asked for, with the
    /// stack.</summary>
    internal static void ReportFailure(ParseResult parsed, string what, Exception why)
    {
        var error = parsed.InvocationConfiguration.Error;
        error.WriteLine(Unexpected(why, what));
        if (IsTracing)
            error.WriteLine(why);
    }

    /// <summary>Whether a failure is one of arguments.</summary>
    internal static bool IsArgument(Exception e) =>
        e is ArgumentException or FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException;

    private static bool IsExpected(Exception e) =>
        IsArgument(e)
        || e is InvalidDataException or IOException or CommunicationException
        || TorchLibrary.Status.State == TorchLibraryState.Failed;

    /// <summary>The exit code and the line of a failure.</summary>
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
