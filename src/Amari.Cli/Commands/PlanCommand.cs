using System.CommandLine;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari plan</c>: predicts the milliseconds and bytes per step of each optimizer on this machine.</summary>
internal static class PlanCommand
{
    private const double LeastSeconds = 3; // one is for .NET to compile the steps

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var optimizers = new Option<string>("--optimizers")
        {
            Description = "comma-separated; all by default: " + string.Join(", ", OptimizerCatalog.All.Select(o => o.Name)),
            HelpName = "NAMES",
        };
        var steps = TypedOptions.OptionalInteger(
            "--steps",
            "timed steps per optimizer, rounded up to whole cycles of its refresh intervals (default: 32 for large models to 512 for "
                + "small ones; 10 for methods with inner iterations)",
            1,
            Planner.MaxSteps
        );
        var time = TypedOptions.Time(
            "--calibration",
            FormattableString.Invariant(
                $"limit of the calibration time per optimizer; the table shows where it was reached (default: {Planner.DefaultMaxSeconds}s "
            ) + FormattableString.Invariant($"divided by the number of optimizers, at least {LeastSeconds}s)")
        );
        var command = new Command(
            "plan",
            "Predict state bytes and milliseconds per step of each optimizer on this machine, from a short calibration."
        )
        {
            common.Workload,
            common.Set,
            optimizers,
            steps,
            time,
            common.Assembly,
            common.Data,
            common.OneDnn,
        };
        common.AddCsvTo(command);
        common.AddToAny(command);
        command.SetAction(parsed =>
        {
            var workload = common.WorkloadOf(parsed);
            var entries = parsed.GetValue(optimizers) is { } names ? CommonOptions.OptimizersOf(optimizers, names) : OptimizerCatalog.All;
            common.ApplyTo(parsed, output);
            using var trainer = new Trainer(workload, parsed.GetValue(common.Data));
            trainer.RequireParameters("plan");
            using var folder = common.FolderOf(parsed, "plan-" + workload.Name, Figure.Files("plan"));
            using var interrupt = new Interrupt();
            double seconds = parsed.GetValue(time)?.Seconds ?? Math.Max(LeastSeconds, Planner.DefaultMaxSeconds / entries.Count);
            var plans = new List<StepPlan>();
            using (var view = new StageView(output))
                foreach (var entry in entries.TakeWhile(_ => !interrupt.Token.IsCancellationRequested))
                {
                    view.Report("calibration", (double)plans.Count / entries.Count, entry.Name);
                    var choice = new OptimizerChoice(entry.Name, new Dictionary<string, string>());
                    plans.Add(Planner.Predict(trainer, choice, parsed.GetValue(steps), seconds, interrupt.Token));
                }
            return PlanReport.Write(workload, plans, interrupted: plans.Count < entries.Count, folder, output);
        });
        return command;
    }
}
