using System.CommandLine;
using Amari.Reporting;
using Amari.Training;
using Amari.Verification;
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
        var seeds = CommonOptions.Integer("--seeds", "runs of each optimizer, with consecutive seeds", 1, 3);
        var tune = CommonOptions.Integer(
            "--tune",
            "tuning trials of each optimizer, from its defaults over its own search space; 0 takes the workload's settings",
            0,
            0
        );
        var resume = new Option<DirectoryInfo?>("--resume")
        {
            Description = "continue the interrupted comparison in this folder; what is not repeated of its arguments is taken from there",
            HelpName = "DIR",
        };
        var every = CommonOptions.CheckpointEvery();
        var monitoring = new MonitorArguments();
        var command = new Command("compare", "Train a workload with several optimizers and report which one to use.")
        {
            optimizers,
            seeds,
            tune,
            resume,
            every,
        };
        common.AddTo(command);
        monitoring.AddTo(command);
        var arguments = new ContinuedArguments(
            command,
            common,
            [common.Out, common.Json, common.Overwrite, common.RankTimeout, resume],
            [every],
            [optimizers, seeds, tune, common.Seed, common.Threads, common.Start]
        );
        command.SetAction(parsed =>
            Ranks.Run(
                parsed,
                common,
                world =>
                {
                    string saved = world.Broadcast(world.Rank == 0 ? Saved(parsed.GetValue(resume)) : null, 0);
                    var (line, earlier, workload, choices, budget, monitor, trainer, folder) = world.Agree(Prepare);
                    using var owned = trainer;
                    using var results = folder;
                    int first = line.GetValue(common.Seed),
                        count = line.GetValue(seeds);
                    using var interrupt = new Interrupt();
                    BenchmarkResult comparison;
                    Keep(earlier.SoFar);
                    using var log = monitor is null || folder is null ? null : new MonitorLog(folder);
                    var kept = (earlier.SoFar?.Runs ?? []).Where(r => r.Status != RunStatus.Interrupted).ToList();
                    foreach (var run in kept)
                    foreach (var row in run.Monitor?.Rows ?? [])
                        log?.Report(new(run.Optimizer, run.Seed, row));
                    if (saved.Length > 0)
                        output.WriteLine($"The comparison is continued; {kept.Count} of {choices.Count * count} runs are done.");
                    var checkpoint = new CheckpointOptions(
                        folder?.FileNamed(ComparisonFile.Unfinished) ?? ComparisonFile.Unfinished,
                        saved.Length > 0,
                        CommonOptions.IntervalOf(parsed.GetValue(every) is null ? line : parsed, every)
                    );
                    using (
                        var view = folder is null ? null : new ProgressView(output, CommonOptions.Title(trainer, $"{budget} a run", world))
                    )
                        comparison = CommandLine.Running(() =>
                            OptimizerBenchmark.Compare(
                                trainer,
                                choices,
                                [.. Enumerable.Range(first, count)],
                                budget,
                                line.GetValue(tune),
                                view,
                                interrupt.Token,
                                monitor,
                                log,
                                new ImmediateProgress<BenchmarkResult>(Keep),
                                earlier.SoFar,
                                checkpoint
                            )
                        );
                    bool partial = comparison.Runs.Count(r => r.Status != RunStatus.Interrupted) < choices.Count * count;
                    if (folder is null)
                        return partial ? 1 : Report.ExitCode(comparison);
                    int code = Report.Write(comparison, workload, folder, output, partial);
                    if (partial)
                        output.WriteLine($"To continue: amari compare --resume {ResultFolder.Relative(folder.Path)}");
                    var failed = comparison.Runs.Where(r => r.Failure is not null).ToList();
                    if (failed is [var earliest, ..])
                        CommandLine.ReportFailure(
                            parsed,
                            $"{failed.Count} of {comparison.Runs.Count} runs failed, first {earliest.Optimizer} with seed {earliest.Seed}",
                            earliest.Failure!
                        );
                    return code;

                    void Keep(BenchmarkResult? sofar)
                    {
                        if (sofar is { Runs.Count: > 0 } or { Trials.Count: > 0 })
                            folder?.WriteInterim(ResultFolder.Document, ResultJson.Of(sofar, partial: true));
                        folder?.WriteInterim(ComparisonFile.FileName, (earlier with { SoFar = sofar }).ToJson());
                    }

                    (
                        ParseResult,
                        ComparisonFile,
                        Workload,
                        List<OptimizerChoice>,
                        Budget,
                        MonitorOptions?,
                        Trainer,
                        ResultFolder?
                    ) Prepare()
                    {
                        var continued =
                            parsed.GetValue(resume) is not { } from ? null
                            : saved.Length > 0 ? ComparisonFile.Parse(saved)
                            : throw new ArgumentException(
                                $"'{from}' holds no comparison to continue: there is no {ComparisonFile.FileName}."
                            );
                        if (
                            parsed.GetValue(resume) is { } one
                            && parsed.GetValue(common.Out) is { } other
                            && Path.GetRelativePath(one.FullName, other.FullName) != "."
                        )
                            throw new ArgumentException(
                                $"--resume is '{one}' and --out '{other}': a comparison is continued in its own folder."
                            );
                        var line = continued is null
                            ? parsed
                            : arguments.Continue(parsed, continued.Arguments, $"'{parsed.GetValue(resume)}'");
                        var workload = WorkloadCatalog.Find(line.GetValue(common.Workload), line.GetValue(common.Assembly));
                        var choices = line.GetValue(optimizers)!
                            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                            .Select(name => new OptimizerChoice(OptimizerCatalog.Find(name).Name, new Dictionary<string, string>()))
                            .DistinctBy(c => c.Name)
                            .ToList();
                        if (choices.Count == 0)
                            throw new ArgumentException("--optimizers names none.");
                        var budget = common.BudgetOf(line, workload.DefaultBudget);
                        var monitor = monitoring.Of(line);
                        common.ApplyTo(line, output);
                        var trainer = common.TrainerOf(line, workload, world);
                        foreach (var choice in choices)
                            trainer.Check(choice);
                        string? json = parsed.GetValue(common.Json) is { } path ? FullPath(path) : continued?.Json;
                        var earlier = new ComparisonFile(
                            continued?.Arguments ?? arguments.Of(parsed, workload.Name, budget),
                            json,
                            continued?.SoFar
                        );
                        if (world.Rank > 0)
                            return (line, earlier, workload, choices, budget, monitor, trainer, null);
                        bool overwrite = parsed.GetValue(common.Overwrite);
                        bool isOwn = json is not null && json == continued?.Json;
                        var target = CommonOptions.JsonOf(parsed, json, overwrite || isOwn);
                        return (
                            line,
                            earlier,
                            workload,
                            choices,
                            budget,
                            monitor,
                            trainer,
                            ResultFolder.Prepare(
                                (parsed.GetValue(resume) ?? parsed.GetValue(common.Out))?.FullName,
                                overwrite || continued is not null,
                                "compare-" + workload.Name,
                                target,
                                [ResultFolder.Document, ComparisonFile.FileName, .. Report.Files],
                                parsed.InvocationConfiguration.Output,
                                parsed.InvocationConfiguration.Error
                            )
                        );
                    }
                }
            )
        );
        return command;
    }

    /// <summary>A path that holds wherever the comparison is continued; standard output stays what it is.</summary>
    private static string FullPath(string path) => OutputTarget.IsOutput(path) ? path : Path.GetFullPath(path);

    /// <summary>What a comparison saved of itself; null if there is nothing.</summary>
    private static string? Saved(DirectoryInfo? folder) =>
        folder is not null && Path.Combine(folder.FullName, ComparisonFile.FileName) is var file && File.Exists(file)
            ? File.ReadAllText(file)
            : null;
}
