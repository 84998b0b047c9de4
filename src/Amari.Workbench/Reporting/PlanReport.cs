using System.Text.Json;
using Amari.Training;
using Amari.Workloads;
using ScottPlot;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>What <c>amari plan</c> leaves: the table on the console, a figure, and JSON.</summary>
internal static class PlanReport
{
    private const string Reference = "adamw";
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <returns>The exit code: 1 when it was stopped, or no optimizer can train the workload.</returns>
    public static int Write(Workload workload, IReadOnlyList<StepPlan> plans, bool interrupted, ResultFolder folder, TextWriter output)
    {
        var console = ReferenceEquals(output, Console.Out)
            ? AnsiConsole.Console
            : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });
        double reference = plans.FirstOrDefault(p => p.Choice.Name == Reference)?.Milliseconds ?? double.NaN;
        var possible = plans.Where(p => p.Refused is null).OrderBy(p => p.Milliseconds).ToList();
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
        var refused = plans.Where(p => p.Refused is not null).ToList();
        foreach (var p in refused)
            table.AddRow(Markup.Escape(p.Choice.Name), "refused", "", "", "", "");
        console.WriteLine($"{workload.Name}: {workload.Description}; batches of {workload.BatchSize}");
        console.Write(table);
        foreach (var p in refused)
            console.WriteLine($"{p.Choice.Name}: {p.Refused}");
        foreach (var p in possible.Where(p => p.From > 1))
            console.WriteLine($"{p.Choice.Name}: from step {p.From} on; before, curvature is renewed more often, and a step is dearer.");
        foreach (var p in possible.Where(p => p.Hasty))
            console.WriteLine(
                $"{p.Choice.Name}: from {p.Steps} {(p.Steps == 1 ? "step" : "steps")} only, for each is slow; trust it less."
            );

        foreach (var p in possible.Where(p => p.Steps > 1 && OptimizerCatalog.Find(p.Choice.Name).EvaluatesLoss))
            console.WriteLine(
                $"{p.Choice.Name}: as many inner iterations as each step asks for: {Number.Short(p.Least)} to {Number.Short(p.Most)} ms in "
                    + $"the first {p.Steps} steps, and others as training goes on."
            );

        string json = JsonSerializer.Serialize(
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
                    millisecondsOfQuickestStep = p.Refused is null ? p.Least : (double?)null,
                    millisecondsOfSlowestStep = p.Refused is null ? p.Most : (double?)null,
                    fromStep = p.Refused is null ? p.From : (long?)null,
                    timedSteps = p.Steps,
                    hasty = p.Hasty,
                    refused = p.Refused,
                }),
            },
            Json
        );
        folder.WriteResult(json);
        if (possible.Count > 0)
            Draw(workload, possible, folder);
        console.WriteLine($"Results: {folder.Shown("result.json")} (beside it plan as PNG and SVG)");
        return folder.ExitCode(interrupted || possible.Count == 0 ? 1 : 0);
    }

    /// <summary>Bars of milliseconds a step, the cheapest at the top; what a plain step takes is dark.</summary>
    private static void Draw(Workload workload, List<StepPlan> plans, ResultFolder folder)
    {
        var plot = Figure.Panel(
            $"{workload.Name}: a step of each optimizer",
            "ms a step (dark: one that renews no curvature; of inner iterations the quickest); beside it the bytes of state",
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
