using System.CommandLine;
using Amari.Cli.Lecture;
using Amari.Reporting;
using Spectre.Console;

namespace Amari.Cli.Commands;

/// <summary><c>amari lecture</c>: runs the lecture's experiments, worked examples and demos, each with tables, figures and
/// checks.</summary>
internal static class LectureCommand
{
    private const string Listing = "list";

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var ids = new Argument<string[]>("ID")
        {
            Arity = ArgumentArity.ZeroOrMore,
            Description = $"list, all, or {string.Join(", ", LectureCatalog.All.Select(i => i.Id))}; list is the default",
        };
        var command = new Command(
            "lecture",
            "Experiments, worked examples and demos of adaptive and second-order methods. The exit code is 1 if a check fails."
        )
        {
            ids,
        };
        common.Threads.DefaultValueFactory = _ => 1; // the tensors are small: more threads would only wait
        common.Threads.Description = "threads of libtorch and of the kernels (default: 1, because the tensors are small)";
        common.AddToAny(command);
        command.SetAction(parsed => Run(parsed, common, ids, output));
        return command;
    }

    private static int Run(ParseResult parsed, CommonOptions common, Argument<string[]> ids, TextWriter output)
    {
        string[] requested = parsed.GetValue(ids) is { Length: > 0 } some ? some : [Listing];
        if (requested is [var word] && word.Equals(Listing, StringComparison.OrdinalIgnoreCase))
        {
            foreach (var item in LectureCatalog.All)
                output.WriteLine($"{item.Id, -4} {item.Title}");
            return 0;
        }
        var items = LectureCatalog.Find(requested);
        common.ApplyTo(parsed, output);
        using var folder = common.FolderOf(
            parsed,
            "lecture",
            [.. items.SelectMany(i => Figure.Files(i.Id + "-*")), .. Figure.Files("figures/*"), LecturePage.FileName]
        );
        using var interrupt = new Interrupt();
        var console = ReferenceEquals(output, Console.Out)
            ? AnsiConsole.Console
            : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });
        var runs = new List<LectureRun>();
        foreach (var item in items)
        {
            if (interrupt.Token.IsCancellationRequested)
                break;
            runs.Add(LectureRun.Of(item, parsed.GetValue(common.Seed), folder));
            LectureReport.Write(runs[^1], console);
            folder.WriteInterim(ResultFolder.Document, LectureReport.Json(runs));
        }
        folder.WriteResult(LectureReport.Json(runs));
        folder.Write(LecturePage.FileName, LecturePage.Of(runs));

        console.WriteLine();
        console.WriteLine($"The lecture with these figures: {folder.PathOf(LecturePage.FileName)}");
        if (runs.Count < items.Count)
            console.WriteLine($"Stopped after {runs.Count} of {items.Count} items.");
        var failed = runs.Where(r => !r.Passed).Select(r => r.Item.Id).ToList();
        console.WriteLine(
            failed.Count > 0
                ? $"Failed: {string.Join(", ", failed)}."
                : $"All checks of {string.Join(", ", runs.Select(r => r.Item.Id))} hold."
        );
        return folder.ExitCode(failed.Count > 0 || runs.Count < items.Count ? 1 : 0);
    }
}
