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
        EquationFigure = "solution",
        Page = "report.html";
    private const int FileWidth = 100; // columns of output that is not a terminal

    /// <summary>The files besides <c>result.json</c>.</summary>
    public static string[] Files { get; } =
    [
        .. Figure.Files(SecondsFigure + "*"),
        .. Figure.Files(StepsFigure + "*"),
        .. Figure.Files(MonitorFigure + "*"),
        .. Figure.Files(EquationFigure + "*"),
        MonitorLog.FileName,
        Page,
    ];

    /// <param name="comparisons">The results with their workloads.</param>
    /// <param name="folder">The folder of the files.</param>
    /// <param name="output">The console.</param>
    /// <param name="partial">Whether runs are missing.</param>
    /// <returns>As <see cref="ExitCode"/>; 1 if runs are missing.</returns>
    public static int Write(
        IReadOnlyList<(BenchmarkResult Result, Workload Workload)> comparisons,
        ResultFolder folder,
        TextWriter output,
        bool partial = false
    )
    {
        var console = ConsoleOf(output);
        var begun = comparisons.Where(c => c.Result.Runs.Count > 0 || c.Result.Trials.Count > 0).ToList();
        if (begun.Count == 0)
        {
            console.WriteLine("Stopped before training; there are no results.");
            return 1;
        }
        foreach (var (comparison, workload) in begun)
        {
            if (comparisons.Count > 1)
                console.WriteLine($"\n{workload.Name}: {workload.Description}");
            Write(console, comparison);
        }
        if (Overview.Of([.. begun.Select(c => c.Result)]) is { } overview)
            console.WriteLine("\n" + overview);
        folder.WriteResult(ResultJson.Of([.. begun.Select(c => c.Result)], partial));
        var drawn = begun.Where(c => c.Result.Runs.Count > 0).ToList();
        if (drawn.Count == 0) // stopped during tuning: there is no curve to draw
        {
            console.WriteLine($"The {begun.Sum(c => c.Result.Trials.Count)} tuning trials are in {folder.PathOf("result.json")}");
            return 1;
        }
        bool monitored = false,
            solved = false;
        foreach (var (comparison, workload) in drawn)
        {
            string suffix = comparison == drawn[0].Result ? "" : "-" + workload.Name;
            LossFigure.Save(comparison, bySeconds: true, folder, SecondsFigure + suffix);
            LossFigure.Save(comparison, bySeconds: false, folder, StepsFigure + suffix);
            monitored |= MonitorPanel.Save(comparison, folder, MonitorFigure + suffix);
            solved |= SolutionFigure.Save(comparison, folder, EquationFigure + suffix);
        }
        folder.Write(Page, HtmlReport.Of([.. drawn.Select(c => new ReportSection(c.Result, c.Workload))]));
        console.WriteLine();
        string[] figures =
        [
            SecondsFigure,
            StepsFigure,
            .. monitored ? [MonitorFigure] : (string[])[],
            .. solved ? [EquationFigure] : (string[])[],
        ];
        console.WriteLine(
            $"Report: {folder.PathOf(Page)} (in the same folder: result.json, {(monitored ? "monitor.jsonl, " : "")}"
                + $"{string.Join(", ", figures[..^1])} and {figures[^1]} as PNG and SVG)"
        );
        return folder.ExitCode(partial ? 1 : ExitCode([.. comparisons.Select(c => c.Result)]));
    }

    private static void Write(IAnsiConsole console, BenchmarkResult comparison)
    {
        Show(comparison, console);
        foreach (var run in comparison.Runs)
            if (run.CurvatureChoice is { } choice)
                console.WriteLine($"{run.Optimizer}, seed {run.Seed}: {choice}.");
        int events = comparison.Runs.Sum(r => r.Events.Count);
        if (events > 0)
            console.WriteLine(
                $"The report lists {(events == 1 ? "1 event" : $"{events} events")} (failed factorisations, fallbacks, skipped steps, "
                    + "choices during training)."
            );
        if (MonitorPanel.Cost(comparison) is { } cost)
            console.WriteLine(cost);
    }

    /// <summary>Shows the table and the answer.</summary>
    public static void Show(BenchmarkResult comparison, IAnsiConsole console)
    {
        if (!console.Profile.Out.IsTerminal)
            console.Profile.Width = Math.Max(console.Profile.Width, FileWidth);
        if (comparison.Runs.Count > 0)
            foreach (var table in ResultTable.Of(comparison, console.Profile.Width))
                console.Write(table);
        if (comparison.Runs is [{ Table: { } own }])
            console.Write(ResultTable.Of(own));
        console.WriteLine(Answer.Of(comparison));
    }

    /// <summary>The console that a command prints to.</summary>
    public static IAnsiConsole ConsoleOf(TextWriter output) =>
        ReferenceEquals(output, Console.Out) ? AnsiConsole.Console : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });

    /// <summary>1 if interrupted, if nothing ran, or if no run completed (all came apart, diverged or failed); otherwise 0.</summary>
    public static int ExitCode(IReadOnlyList<BenchmarkResult> comparisons) =>
        comparisons.Any(c => c.Runs.All(r => r.Status != RunStatus.Completed) || c.Runs.Any(r => r.Status == RunStatus.Interrupted))
            ? 1
            : 0;
}
