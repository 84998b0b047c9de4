using System.CommandLine;
using Amari.Reporting;

namespace Amari.Cli.Commands;

/// <summary><c>amari report</c>: shows the results of several commands in one page, those of one workload over each other.</summary>
internal static class ReportCommand
{
    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var paths = new Argument<string[]>("RESULT")
        {
            Arity = ArgumentArity.OneOrMore,
            Description = "folders of results of train or compare, or their result.json",
        };
        var command = new Command("report", "Show the results of several train or compare commands in one page.")
        {
            paths,
            common.Out,
            common.Json,
            common.Overwrite,
        };
        command.SetAction(parsed => Run(parsed, common, paths, output));
        return command;
    }

    private static int Run(ParseResult parsed, CommonOptions common, Argument<string[]> paths, TextWriter output)
    {
        var results = parsed.GetValue(paths)!.SelectMany(LoadedResult.Of).ToList();
        if (results.GroupBy(r => (r.File, r.Comparison.Workload)).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ArgumentException($"'{twice.First().Path}' is given twice.");
        var json = CommonOptions.JsonOf(parsed, parsed.GetValue(common.Json), parsed.GetValue(common.Overwrite));
        if (json is not null && results.Exists(r => r.File == json.File))
            throw new ArgumentException($"--json is '{json.Name}', which is a result to report; choose another file.");
        if (parsed.GetValue(common.Out) is { } target && results.Exists(r => Path.GetRelativePath(r.Path, target.FullName) == "."))
            throw new ArgumentException($"--out is '{target}', which is a result to report; choose another folder.");
        var overlays = Overlay.Of(results);
        using var folder = ResultFolder.Prepare(
            parsed.GetValue(common.Out)?.FullName,
            parsed.GetValue(common.Overwrite),
            "report",
            json,
            OverlayReport.Files,
            parsed.InvocationConfiguration.Output,
            parsed.InvocationConfiguration.Error
        );
        return CommandLine.Running(() => OverlayReport.Write(overlays, folder, output));
    }
}
