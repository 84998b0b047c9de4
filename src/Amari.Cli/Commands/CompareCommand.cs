using System.CommandLine;
using Amari.Cli.Reporting;
using Amari.Distributed;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari compare</c>: trains a workload with several optimizers and reports which to use, and why.</summary>
internal static class CompareCommand
{
    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var optimizers = new Option<string>("--optimizers")
        {
            Description = "comma-separated: " + string.Join(", ", OptimizerCatalog.All.Select(o => o.Name)),
            DefaultValueFactory = _ => "sgd,adamw,lion,kfac",
            HelpName = "NAMES",
        };
        var seeds = CommonOptions.Whole("--seeds", "runs of each optimizer, with consecutive seeds", 1, 3);
        var tune = CommonOptions.Whole("--tune", "tuning trials of each optimizer, from its defaults over its own search space; 0 takes the workload's settings", 0, 0);
        var monitoring = new MonitorArguments();
        var command = new Command("compare", "Train a workload with several optimizers and report which one to use.") { optimizers, seeds, tune };
        common.AddTo(command);
        monitoring.AddTo(command);
        command.SetAction(parsed => Ranks.Run(parsed, common, world =>
        {
            var (workload, choices, budget, monitor, trainer, folder) = world.Agree(Prepare);
            using var owned = trainer;
            using var results = folder;
            int first = parsed.GetValue(common.Seed);
            using var interrupt = new Interrupt();
            Comparison comparison;
            using var log = monitor is null || folder is null ? null : new MonitorLog(folder);
            var finished = folder is null ? null : new Told<Comparison>(sofar =>
                ResultFolder.Write(folder.FileNamed("result.json"), ResultJson.Of(sofar, partial: true)));
            using (var view = folder is null ? null : new ProgressView(output, CommonOptions.Title(trainer, $"{budget} a run", world)))
                comparison = CommandLine.Running(() => Comparer.Compare(trainer, choices, [.. Enumerable.Range(first, parsed.GetValue(seeds))], budget,
                    parsed.GetValue(tune), view, interrupt.Token, monitor, log, finished));
            if (folder is null) return Report.ExitCode(comparison);
            int code = Report.Write(comparison, workload, folder, output);
            var failed = comparison.Runs.Where(r => r.Failure is not null).ToList();
            if (failed is [var earliest, ..])
                CommandLine.ReportFailure(parsed,
                    $"{failed.Count} of {comparison.Runs.Count} runs failed, first {earliest.Optimizer} with seed {earliest.Seed}",
                    earliest.Failure!);
            return code;

            (Workload, List<OptimizerChoice>, Budget, MonitorOptions?, Trainer, ResultFolder?) Prepare()
            {
                var workload = WorkloadCatalog.Find(parsed.GetValue(common.Workload), parsed.GetValue(common.Assembly));
                var choices = parsed.GetValue(optimizers)!.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                    .Select(name => new OptimizerChoice(OptimizerCatalog.Find(name).Name, new Dictionary<string, string>())).DistinctBy(c => c.Name).ToList();
                if (choices.Count == 0) throw new ArgumentException("--optimizers names none.");
                var budget = common.BudgetOf(parsed, workload.DefaultBudget);
                var monitor = monitoring.Of(parsed);
                common.ApplyTo(parsed, output);
                var trainer = common.TrainerOf(parsed, workload, world);
                foreach (var choice in choices) trainer.Check(choice);
                return (workload, choices, budget, monitor, trainer, common.FolderOf(parsed, world, "compare-" + workload.Name));
            }
        }));
        return command;
    }
}
