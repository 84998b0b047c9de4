using System.CommandLine;
using Amari.Native;

namespace Amari.Cli.Commands;

/// <summary>The tool <c>amari</c>: 0 on success, 1 on a failed or interrupted run, 2 on bad arguments with one line on standard error.</summary>
public static class CommandLine
{
    internal const string TraceVariable = "AMARI_TRACE";

    /// <summary>Parses and runs; never throws for what a user did.</summary>
    public static int Run(string[] args, TextWriter output, TextWriter error)
    {
        var root = new RootCommand("Adaptive and second-order optimization for neural networks: compare optimizers, K-FAC among them, on real data.")
        {
            CompareCommand.Create(output),
            TrainCommand.Create(output),
            PlanCommand.Create(output),
            VerifyCommand.Create(output),
            LectureCommand.Create(output),
            SpectrumCommand.Create(output),
            LandscapeCommand.Create(output),
            InfoCommand.Create(output),
        };
        var parsed = root.Parse(args.Length == 0 ? ["--help"] : args);
        if (parsed.Errors.Count > 0)
        {
            var told = parsed.Errors.FirstOrDefault(e => e.Message.Contains('\'', StringComparison.Ordinal)) ?? parsed.Errors[0];   // what names the culprit
            error.WriteLine(told.Message.ReplaceLineEndings(" "));
            return 2;
        }
        try
        {
            return parsed.Invoke(new() { Output = output, Error = error, EnableDefaultExceptionHandler = false });
        }
        catch (Exception e) when (e is ArgumentException or FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            error.WriteLine(e.Message.Split(" (Parameter")[0].ReplaceLineEndings(" "));
            return 2;
        }
        catch (Exception e) when (e is InvalidDataException or IOException)
        {
            error.WriteLine(e.Message.ReplaceLineEndings(" "));
            return 1;
        }
        catch (Exception) when (TorchLibrary.Status is { State: TorchLibraryState.Failed } status)
        {
            error.WriteLine(status.Message.ReplaceLineEndings(" "));
            return 1;
        }
        catch (Exception e) when (Environment.GetEnvironmentVariable(TraceVariable) is null)
        {
            error.WriteLine($"The run failed: {e.Message.Split('\n')[0].Trim()} ({e.GetType().Name}; set {TraceVariable}=1 to see where)");
            return 1;
        }
    }
}
