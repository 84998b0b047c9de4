using System.Text.Json;
using Amari.Training;
using Amari.Workloads;
using ScottPlot;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>The output of <c>amari plan</c>: the table on the console, a figure, and JSON.</summary>
internal static class PlanReport
{
    private const string Reference = "adamw";
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <returns>The exit code: 1 if it was stopped, or no optimizer can train the workload.</returns>
    public static int Write(Workload workload, IReadOnlyList<StepPlan> plans, bool interrupted, ResultFolder folder, TextWriter output)
    {
        var console = ReferenceEquals(output, Console.Out)
            ? AnsiConsole.Console
            : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });
        var possible = plans.Where(p => p.Refused is null).OrderBy(p => p.Milliseconds).ToList();
        console.WriteLine($"{workload.Name}: {workload.Description}; batches of {workload.BatchSize}");
        console.Write(TableOf(plans, possible));
        foreach (string note in Notes(plans, possible))
            console.WriteLine(note);
        folder.WriteResult(ToJson(workload, plans, interrupted));
        if (possible.Count > 0)
            Draw(workload, possible, folder);
        console.WriteLine($"Results: {folder.PathOf("result.json")} (in the same folder: plan.png and plan.svg)");
        return folder.ExitCode(interrupted || possible.Count == 0 ? 1 : 0);
    }

    private static Table TableOf(IReadOnlyList<StepPlan> plans, List<StepPlan> possible)
    {
        double reference = plans.FirstOrDefault(p => p.Choice.Name == Reference)?.Milliseconds ?? double.NaN;
        var table = new Table().Border(TableBorder.Rounded);
        table.AddColumn(new TableColumn("optimizer").NoWrap());
        foreach (string head in (string[])["state", "bytes / parameter", "ms / step", $"x {Reference}", "steps / minute"])
            table.AddColumn(head);
        foreach (var p in possible)
            table.AddRow([
                .. (
                    (string[])
                        [
                            p.Choice.Name,
                            Number.Bytes(p.StateBytes),
                            Number.Short((double)p.StateBytes / p.Parameters),
                            Number.Short(p.Milliseconds),
                            double.IsNaN(reference) ? "" : Number.Short(p.Milliseconds / reference, 2),
                            Number.Short(60_000 / p.Milliseconds),
                        ]
                ).Select(Markup.Escape),
            ]);
        foreach (var p in plans.Where(p => p.Refused is not null))
            table.AddRow(Markup.Escape(p.Choice.Name), "refused", "", "", "", "");
        return table;
    }

    private static IEnumerable<string> Notes(IReadOnlyList<StepPlan> plans, List<StepPlan> possible)
    {
        foreach (var p in plans.Where(p => p.Refused is not null))
            yield return $"{p.Choice.Name}: {p.Refused}";
        foreach (var p in possible.Where(p => p.FromStep > 1))
            yield return $"{p.Choice.Name}: from step {p.FromStep} on; earlier steps refresh the curvature more often and take longer.";
        foreach (var p in possible.Where(p => p.IsPreliminary))
            yield return $"{p.Choice.Name}: from only {p.Steps} slow {(p.Steps == 1 ? "step" : "steps")}, so less reliable.";
        foreach (var p in possible.Where(p => p.Steps > 1 && OptimizerCatalog.Find(p.Choice.Name).EvaluatesLoss))
            yield return $"{p.Choice.Name}: the number of inner iterations varies: {Number.Short(p.MinMilliseconds)} to "
                + $"{Number.Short(p.MaxMilliseconds)} ms in the first {p.Steps} steps; later steps may differ.";
    }

    private static string ToJson(Workload workload, IReadOnlyList<StepPlan> plans, bool interrupted) =>
        JsonSerializer.Serialize(
            new
            {
                command = "plan",
                workload = workload.Name,
                batch = workload.BatchSize,
                interrupted,
                optimizers = plans.Select(p => new
                {
                    optimizer = p.Choice.Name,
                    parameters = p.Parameters,
                    stateBytes = p.Refused is null ? p.StateBytes : (long?)null,
                    millisecondsPerStep = p.Refused is null ? p.Milliseconds : (double?)null,
                    millisecondsPerPlainStep = p.Refused is null ? p.Plain : (double?)null,
                    millisecondsOfQuickestStep = p.Refused is null ? p.MinMilliseconds : (double?)null,
                    millisecondsOfSlowestStep = p.Refused is null ? p.MaxMilliseconds : (double?)null,
                    fromStep = p.Refused is null ? p.FromStep : (long?)null,
                    timedSteps = p.Steps,
                    hasty = p.IsPreliminary,
                    refused = p.Refused,
                }),
            },
            Json
        );

    /// <summary>Bars of milliseconds per step, the fastest at the top. The dark part is the time of a step without a refresh.</summary>
    private static void Draw(Workload workload, List<StepPlan> plans, ResultFolder folder)
    {
        var plot = Figure.Panel(
            $"{workload.Name}: time per step",
            "ms per step (dark: without a curvature refresh, or with the fewest inner iterations), followed by the bytes of state",
            ""
        );
        using var figure = new Figure("plan", plot);
        var colors = Palette.Of(plans.Select(p => p.Choice.Name));
        var ticks = new ScottPlot.TickGenerators.NumericManual();
        for (int i = 0; i < plans.Count; i++)
        {
            int y = plans.Count - 1 - i;
            var color = ScottPlot.Color.FromHex(colors[plans[i].Choice.Name]);
            var whole = plot.Add.Bar(y, plans[i].Milliseconds);
            var plain = plot.Add.Bar(y, Math.Min(plans[i].Plain, plans[i].Milliseconds));
            foreach (var bar in (ScottPlot.Plottables.BarPlot[])[whole, plain])
            {
                bar.Horizontal = true;
                bar.Color = color.WithAlpha(ReferenceEquals(bar, whole) ? 0.45 : 1);
                foreach (var b in bar.Bars)
                    b.LineWidth = 0;
            }
            whole.Bars[0].Label = Number.Bytes(plans[i].StateBytes);
            whole.ValueLabelStyle.FontSize = 13;
            ticks.AddMajor(y, plans[i].Choice.Name);
        }
        plot.Axes.Left.TickGenerator = ticks;
        plot.Axes.Left.MinimumSize = 190;
        plot.Axes.SetLimits(0, 1.15 * plans.Max(p => p.Milliseconds), -0.8, plans.Count - 0.2);
        plot.Grid.YAxisStyle.IsVisible = false;
        figure.Save(folder, "plan");
    }
}
