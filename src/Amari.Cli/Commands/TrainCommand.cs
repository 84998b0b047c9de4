using System.CommandLine;
using Amari.Reporting;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari train</c>: trains a workload with one optimizer, with checkpoints.</summary>
internal static class TrainCommand
{
    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var optimizer = new Option<string>("--optimizer")
        {
            Description = string.Join(", ", OptimizerCatalog.All.Select(o => o.Name)),
            DefaultValueFactory = _ => "kfac",
            HelpName = "NAME",
        };
        var rate = new Option<string?>("--lr") { Description = "learning rate", HelpName = "NUMBER" };
        var set = new Option<string[]>("--set")
        {
            Description = "an option of the optimizer, repeatable: --set damping=1e-3",
            HelpName = "NAME=VALUE",
        };
        var checkpoint = CommonOptions.Named(new("--checkpoint") { Description = "folder to save the run in", HelpName = "DIR" });
        var every = CommonOptions.CheckpointEvery();
        var resume = new Option<bool>("--resume")
        {
            Description = "continue from the newest checkpoint; bit-identical to an uninterrupted run",
        };
        var again = new Option<bool>("--resume-if-any")
        {
            Description = "as --resume if there is a checkpoint, else begin: for jobs that are submitted again",
        };
        var monitoring = new MonitorArguments();
        var command = new Command("train", "Train a workload with one optimizer.")
        {
            optimizer,
            rate,
            set,
            checkpoint,
            every,
            resume,
            again,
        };
        common.AddTo(command);
        monitoring.AddTo(command);
        command.SetAction(parsed =>
            Ranks.Run(
                parsed,
                common,
                world =>
                {
                    var (workload, choice, budget, monitor, trainer, saving, folder) = world.Agree(Prepare);
                    using var owned = trainer;
                    using var results = folder;
                    using var interrupt = new Interrupt();
                    TrainingRun run;
                    using var log = monitor is null || folder is null ? null : new MonitorLog(folder);
                    using (var view = folder is null ? null : new ProgressView(output, CommonOptions.Title(trainer, $"{budget}", world)))
                        run = CommandLine.Running(() =>
                            trainer.Attempt(
                                new(choice, parsed.GetValue(common.Seed), budget, view, saving, Monitor: monitor, Monitored: log),
                                interrupt.Token
                            )
                        );
                    var result = new BenchmarkResult(workload.Name, workload.Metric.Name, workload.Target, budget, [run], []);
                    if (folder is null)
                        return Report.ExitCode(result);
                    int code = Report.Write(result, workload, folder, output);
                    if (saving is not null && run.Best is { } best && BestWeights.PathIn(saving.Directory) is var file && File.Exists(file))
                        output.WriteLine(
                            FormattableString.Invariant($"Best weights: loss {Number.Short(best.Loss)} at step {best.Step}, in ")
                                + Path.GetRelativePath(Environment.CurrentDirectory, file)
                        );
                    if (run.Failure is { } why)
                        CommandLine.ReportFailure(parsed, "The run failed", why);
                    else if (Trouble.Line(run) is { } line)
                        parsed.InvocationConfiguration.Error.WriteLine(line);
                    return code;

                    (Workload, OptimizerChoice, Budget, MonitorOptions?, Trainer, CheckpointOptions?, ResultFolder?) Prepare()
                    {
                        var workload = WorkloadCatalog.Find(parsed.GetValue(common.Workload), parsed.GetValue(common.Assembly));
                        var settings = new Dictionary<string, string>();
                        if (parsed.GetValue(rate) is { } lr)
                            settings["LearningRate"] = lr;
                        foreach (string pair in parsed.GetValue(set) ?? [])
                            settings[pair.Split('=')[0]] = pair.Contains('=', StringComparison.Ordinal)
                                ? pair[(pair.IndexOf('=', StringComparison.Ordinal) + 1)..]
                                : throw new ArgumentException($"--set is '{pair}'; it must be NAME=VALUE.");
                        var choice = new OptimizerChoice(OptimizerCatalog.Find(parsed.GetValue(optimizer)!).Name, settings);
                        var budget = common.BudgetOf(parsed, workload.DefaultBudget);
                        CheckpointOptions? saving =
                            parsed.GetValue(checkpoint) is { } directory
                                ? new(directory, parsed.GetValue(resume) || parsed.GetValue(again), CommonOptions.IntervalOf(parsed, every))
                            : !parsed.GetValue(resume) && !parsed.GetValue(again) ? null
                            : throw new ArgumentException("--resume needs --checkpoint DIR.");
                        if (saving is not null && parsed.GetValue(resume) && world.Rank == 0 && !RunSaver.HoldsAny(saving.Directory))
                            throw new ArgumentException($"'{saving.Directory}' holds no checkpoint to continue from.");
                        var monitor = monitoring.Of(parsed);
                        common.ApplyTo(parsed, output);
                        var trainer = common.TrainerOf(parsed, workload, world);
                        trainer.Check(choice);
                        if (saving is not null)
                            trainer.Check(choice, parsed.GetValue(common.Seed), saving);
                        return (
                            workload,
                            choice,
                            budget,
                            monitor,
                            trainer,
                            saving,
                            common.FolderOf(parsed, world, "train-" + workload.Name)
                        );
                    }
                }
            )
        );
        return command;
    }
}
