using System.Text.Json;
using Amari.Training;
using Amari.Workloads;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>The output of <c>amari plan</c>: the table on the console, a figure, and JSON.</summary>
internal static class PlanReport
{
    private const string Reference = "adamw";
    private const double BusyShare = 0.2; // of the time that threads could run
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    /// <returns>The exit code: 1 if it was stopped, or no optimizer can train the workload.</returns>
    public static int Write(Workload workload, IReadOnlyList<StepPlan> plans, bool interrupted, ResultFolder folder, TextWriter output)
    {
        var console = ReferenceEquals(output, Console.Out)
            ? AnsiConsole.Console
            : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });
        var possible = plans.Where(p => p.Refused is null).OrderBy(p => p.Milliseconds).ToList();
        console.WriteLine($"{workload.Name}: {workload.Description}; batches of {workload.BatchSize}");
        foreach (var table in TableOf(plans, possible, console.Profile.Width))
            console.Write(table);
        foreach (string note in Notes(plans, possible))
            console.WriteLine(note);
        folder.WriteResult(ToJson(workload, plans, interrupted));
        if (possible.Count > 0)
            PlanFigure.Save(workload, possible, folder);
        console.WriteLine($"Results: {folder.PathOf("result.json")} (in the same folder: plan.png and plan.svg)");
        return folder.ExitCode(interrupted || possible.Count == 0 ? 1 : 0);
    }

    private static IEnumerable<Table> TableOf(IReadOnlyList<StepPlan> plans, List<StepPlan> possible, int width)
    {
        double reference = plans.FirstOrDefault(p => p.Choice.Name == Reference)?.Milliseconds ?? double.NaN;
        List<string[]> rows = [];
        foreach (var p in possible)
        {
            Add(
                p.Choice.Name,
                Number.Bytes(p.StateBytes),
                Number.Short((double)p.StateBytes / p.Parameters),
                Number.Short(p.Milliseconds),
                Middle(p.Spread),
                Number.Short(p.CpuMilliseconds),
                double.IsNaN(reference) ? "" : Number.Short(p.Milliseconds / reference, 2),
                p.IsPreliminary ? $"{p.Steps}/{p.PlannedSteps}" : $"{p.Steps}"
            );
            if (p.Kinds.Count > 1)
                foreach (var kind in p.Kinds)
                    Add("  " + Words(kind), "", "", Number.Short(kind.Milliseconds.Median), Middle(kind.Milliseconds), "", "", "");
        }
        foreach (var p in plans.Where(p => p.Refused is not null))
            Add(p.Choice.Name, "refused", "", "", "", "", "", "");
        return ResultTable.Of(
            ["optimizer", "state", "B /\nparam", "ms /\nstep", "quartiles", "CPU\nms", $"x\n{Reference}", "timed\nsteps"],
            rows,
            width
        );

        void Add(params string[] cells) => rows.Add(cells);
    }

    private static string Middle(Quartiles q) => $"{Number.Short(q.Lower)}-{Number.Short(q.Upper)}";

    private static string Words(StepKind kind) => kind.Options.Count == 0 ? "without refresh" : $"every {kind.Interval} steps";

    private static IEnumerable<string> Notes(IReadOnlyList<StepPlan> plans, List<StepPlan> possible)
    {
        foreach (var p in plans.Where(p => p.Refused is not null))
            yield return $"{p.Choice.Name}: {p.Refused}";
        foreach (var p in possible.Where(p => p.FromStep > 1))
            yield return $"{p.Choice.Name}: from step {p.FromStep} on; earlier steps refresh the curvature more often and take longer.";
        string[] limited = [.. possible.Where(p => p.IsPreliminary).Select(p => $"{p.Choice.Name} ({p.Steps} of {p.PlannedSteps} steps)")];
        if (limited.Length > 0)
            yield return $"Less reliable, because the calibration reached its time limit (--calibration) or was stopped: "
                + $"{string.Join(", ", limited)}.";
        foreach (var p in possible.Where(p => p.Steps > 1 && OptimizerCatalog.Find(p.Choice.Name).EvaluatesLoss))
            yield return $"{p.Choice.Name}: the number of inner iterations varies: {Number.Short(p.Spread.Min)} to "
                + $"{Number.Short(p.Spread.Max)} ms in the first {p.Steps} steps; later steps may differ.";
        if (possible.Count > 0)
            yield return "ms / step: the median of each kind of step, weighted by how often it occurs in training (the mean where inner "
                + "iterations vary). Quartiles: the middle half of the timed steps. CPU ms: processor time of all threads.";
        if (possible.Max(p => p.WaitedForCpu) is > BusyShare and { } waited)
            yield return FormattableString.Invariant(
                $"The machine was busy: other processes had the processors for up to {waited:P0} of the "
            ) + "time in which Amari could run. The times are too long. Processor times depend on it much less, and bytes do not.";
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
                    millisecondsPerStep = Finite(p.Milliseconds),
                    millisecondsPerPlainStep = p.Refused is null ? p.Kinds[0].Milliseconds.Median : (double?)null,
                    quartiles = p.Refused is null ? p.Spread : (Quartiles?)null,
                    cpuMillisecondsPerStep = Finite(p.CpuMilliseconds),
                    waitedForCpu = p.WaitedForCpu,
                    kinds = p.Kinds,
                    fromStep = p.Refused is null ? p.FromStep : (long?)null,
                    plannedSteps = p.PlannedSteps,
                    timedSteps = p.Steps,
                    preliminary = p.IsPreliminary,
                    refused = p.Refused,
                }),
            },
            Json
        );

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
