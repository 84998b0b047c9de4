using Amari.Training;
using Amari.Workloads;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>The output of a comparison or a run: the table and the answer on the console, and the files.</summary>
internal static class Report
{
    private const string SecondsFigure = "loss-seconds",
        StepsFigure = "loss-steps",
        MonitorFigure = "monitor",
        Page = "report.html";

    /// <summary>The files besides <c>result.json</c>.</summary>
    public static string[] Files { get; } =
    [.. Figure.Files(SecondsFigure), .. Figure.Files(StepsFigure), .. Figure.Files(MonitorFigure), MonitorLog.FileName, Page];

    /// <param name="comparison">The results.</param>
    /// <param name="workload">The workload.</param>
    /// <param name="folder">The folder of the files.</param>
    /// <param name="output">The console.</param>
    /// <param name="partial">Whether runs are missing.</param>
    /// <returns>As <see cref="ExitCode"/>; 1 if runs are missing.</returns>
    public static int Write(BenchmarkResult comparison, Workload workload, ResultFolder folder, TextWriter output, bool partial = false)
    {
        var console = ConsoleOf(output);
        if (comparison.Runs.Count == 0 && comparison.Trials.Count == 0)
        {
            console.WriteLine("Stopped before training; there are no results.");
            return 1;
        }
        Show(comparison, console);
        foreach (var run in comparison.Runs)
            if (run.CurvatureChoice is { } choice)
                console.WriteLine($"{run.Optimizer}, seed {run.Seed}: {choice}.");
        int events = comparison.Runs.Sum(r => r.Events.Count);
        if (events > 0)
            console.WriteLine(
                $"{events} events (failed factorisations, fallbacks, skipped steps, choices during training) are listed in the " + "report."
            );

        if (MonitorPanel.Cost(comparison) is { } cost)
            console.WriteLine(cost);

        folder.WriteResult(ResultJson.Of(comparison, partial));
        if (comparison.Runs.Count == 0) // stopped during tuning: there is no curve to draw
        {
            console.WriteLine($"The {comparison.Trials.Count} tuning trials are in {folder.PathOf("result.json")}");
            return 1;
        }
        string title = $"{workload.Name}: loss during training";
        LossFigure.Save(comparison, title, bySeconds: true, folder, SecondsFigure);
        LossFigure.Save(comparison, title, bySeconds: false, folder, StepsFigure);
        bool monitored = MonitorPanel.Save(comparison, folder, MonitorFigure);
        folder.Write(Page, HtmlReport.Of(comparison, workload));
        console.WriteLine();
        console.WriteLine(
            $"Report: {folder.PathOf(Page)} (in the same folder: result.json, "
                + $"{(monitored ? "monitor.jsonl, loss-seconds, loss-steps and monitor" : "loss-seconds and loss-steps")} as PNG and SVG)"
        );
        return folder.ExitCode(partial ? 1 : ExitCode(comparison));
    }

    /// <summary>Shows the table and the answer.</summary>
    public static void Show(BenchmarkResult comparison, IAnsiConsole console)
    {
        var table = new Table().Border(TableBorder.Rounded).AddColumn(new TableColumn("optimizer").NoWrap());
        foreach (string head in Summary.Heads(comparison))
            table.AddColumn(new TableColumn(Markup.Escape(head)));
        foreach (var summary in Summary.Of(comparison))
            table.AddRow([Markup.Escape(summary.Optimizer), .. summary.Cells().Select(Markup.Escape)]);
        if (comparison.Runs.Count > 0)
            console.Write(table);
        console.WriteLine(Answer.Of(comparison));
    }

    /// <summary>The console that a command prints to.</summary>
    public static IAnsiConsole ConsoleOf(TextWriter output) =>
        ReferenceEquals(output, Console.Out) ? AnsiConsole.Console : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });

    /// <summary>1 if interrupted, if nothing ran, or if no run completed (all came apart, diverged or failed); otherwise 0.</summary>
    public static int ExitCode(BenchmarkResult comparison) =>
        comparison.Runs.All(r => r.Status != RunStatus.Completed) || comparison.Runs.Any(r => r.Status == RunStatus.Interrupted) ? 1 : 0;
}
