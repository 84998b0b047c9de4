using System.CommandLine;
using Amari.Distributed;
using Amari.Optimizers;
using Amari.Reporting;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari train</c>: trains a workload with one optimizer, with checkpoints.</summary>
internal sealed class TrainCommand
{
    private const string SaveName = "--save";
    private readonly CommonOptions _common = new();
    private readonly MonitorArguments _monitoring = new();
    private readonly LogArguments _logging = new();
    private readonly LiveArguments _live = new();
    private readonly Option<string?> _optimizer = new("--optimizer")
    {
        Description = string.Join(", ", OptimizerCatalog.All.Select(o => o.Name)) + " (default: kfac, or the workload's own)",
        HelpName = "NAME",
    };
    private readonly Option<string?> _rate = new("--lr")
    {
        Description = "learning rate (default: that of the workload's settings)",
        HelpName = "NUMBER",
    };
    private readonly Option<string?> _checkpoint = TypedOptions.Named(
        new("--checkpoint") { Description = "folder of the run's checkpoints", HelpName = "DIR" }
    );
    private readonly Option<Budget?> _interval = CommonOptions.CheckpointInterval();
    private readonly Option<bool> _resume = new("--resume")
    {
        Description = "continue from the newest checkpoint; bit-identical to an uninterrupted run",
    };
    private readonly Option<bool> _resumeIfAny = new("--resume-if-any")
    {
        Description = "like --resume if there is a checkpoint, otherwise start a new run: for jobs that are submitted again",
    };
    private readonly Option<string?> _save = TypedOptions.Named(
        new(SaveName)
        {
            Description = "write the weights at the end of the run to this file: .pt or .pth for PyTorch's torch.load, or .safetensors",
            HelpName = "FILE",
        }
    );
    private readonly TextWriter _output;
    private readonly Command _command;

    private TrainCommand(TextWriter output)
    {
        _output = output;
        _command = new("train", "Train a workload with one optimizer.")
        {
            _optimizer,
            _rate,
            _checkpoint,
            _interval,
            _resume,
            _resumeIfAny,
            _save,
        };
        _common.Set.Description =
            "an option of the optimizer or a setting of the workload, repeatable: --set damping=1e-3; a wrong name prints both lists";
        _common.AddTo(_command);
        _monitoring.AddTo(_command);
        _logging.AddTo(_command);
        _live.AddTo(_command);
        _command.SetAction(parsed => Ranks.Run(parsed, _common, world => Run(parsed, world)));
    }

    public static Command Create(TextWriter output) => new TrainCommand(output)._command;

    /// <summary>A run whose arguments are all valid. Owns the trainer and the folder.</summary>
    private sealed record Setup(
        Workload Workload,
        OptimizerChoice Choice,
        Budget Budget,
        MonitorOptions? Monitor,
        Trainer Trainer,
        CheckpointOptions? Checkpoint,
        WeightsFile? Weights,
        ResultFolder? Folder,
        Provenance Provenance
    ) : IDisposable
    {
        public void Dispose()
        {
            Folder?.Dispose();
            Weights?.Dispose();
            Trainer.Dispose();
        }
    }

    private int Run(ParseResult parsed, Communicator world)
    {
        using var setup = world.Agree(() => Prepare(parsed, world));
        var (workload, choice, budget, monitor, trainer, checkpoint, weights, folder, provenance) = setup;
        bool continues = checkpoint is { Resume: true } && RunSaver.HoldsAny(checkpoint.Directory);
        using var logs = world.Agree(() => _logging.Open(parsed, _common, folder, continues));
        using var interrupt = new Interrupt();
        using var live = world.Agree(() => _live.Open(parsed, folder, () => [SectionOf([])], interrupt));
        TrainingRun run;
        using var log = monitor is null || folder is null ? null : new MonitorLog(folder);
        using (var view = folder is null ? null : new ProgressView(_output, CommonOptions.Title(trainer, $"{budget}", world)))
            run = CommandLine.Running(() =>
                trainer.Attempt(
                    new(
                        choice,
                        parsed.GetValue(_common.Seed),
                        budget,
                        All(view, logs, live),
                        checkpoint,
                        weights is null ? null : weights.Take,
                        monitor,
                        log
                    ),
                    interrupt.Token
                )
            );
        var result = ResultOf([run]) with { Schedule = run.Schedule };
        if (folder is null)
            return Report.ExitCode([result]);
        int code = Report.Write([(result, workload)], folder, _output);
        live?.End(LiveArguments.EndOf([result], folder), [result]);
        if (checkpoint is not null && run.Best is { } best && BestWeights.PathIn(checkpoint.Directory) is var file && File.Exists(file))
            _output.WriteLine(
                FormattableString.Invariant($"Best weights: loss {Number.Short(best.Loss)} at step {best.Step}, in ")
                    + Path.GetRelativePath(Environment.CurrentDirectory, file)
            );
        if (weights?.Write(checkpoint?.Directory, _output, parsed.InvocationConfiguration.Error) == false && code == 0)
            code = 1;
        if (run.Failure is { } why)
            CommandLine.ReportFailure(parsed, "The run failed", why);
        else if (Trouble.Line(run) is { } line)
            parsed.InvocationConfiguration.Error.WriteLine(line);
        return code;

        BenchmarkResult ResultOf(IReadOnlyList<TrainingRun> runs) =>
            BenchmarkResult.Of(trainer, budget, runs, []) with
            {
                Settings = SettingsSource.Workload,
                Provenance = provenance,
            };

        ReportSection SectionOf(IReadOnlyList<TrainingRun> runs) => new(ResultOf(runs), workload);
    }

    private static ImmediateProgress<RunProgress> All(params IProgress<RunProgress>?[] receivers) =>
        new(value =>
        {
            foreach (var receiver in receivers)
                receiver?.Report(value);
        });

    /// <summary>Checks all arguments.</summary>
    /// <exception cref="ArgumentException">One is invalid.</exception>
    private Setup Prepare(ParseResult parsed, Communicator world)
    {
        var (workload, choice) = SubjectOf(parsed);
        var budget = _common.BudgetOf(parsed, workload.DefaultBudget);
        bool resume = parsed.GetValue(_resume),
            continues = resume || parsed.GetValue(_resumeIfAny);
        if (resume && parsed.GetValue(_resumeIfAny))
            throw new ArgumentException("Use --resume or --resume-if-any, not both.");
        CheckpointOptions? checkpoint =
            parsed.GetValue(_checkpoint) is { } directory ? new(directory, continues, CommonOptions.IntervalOf(parsed, _interval))
            : CommonOptions.FirstGiven(parsed, _resume, _resumeIfAny, _interval) is not { } lone ? null
            : throw new ArgumentException($"{lone.Name} needs --checkpoint DIR.");
        if (checkpoint is not null && resume && world.Rank == 0 && !RunSaver.HoldsAny(checkpoint.Directory))
            throw new ArgumentException(
                $"'{checkpoint.Directory}' holds no checkpoint to continue from; --resume-if-any then starts a new run."
            );
        var monitor = _monitoring.Of(parsed);
        foreach (string other in (string[])[CommonOptions.JsonName, LogArguments.LinesName])
            if (
                parsed.GetValue(_save) is { } own
                && parsed.GetValue<string?>(other) is { } its
                && Path.GetFullPath(own) == Path.GetFullPath(its)
            )
                throw new ArgumentException($"{SaveName} and {other} are both '{its}'; they must be different files.");
        var weights = parsed.GetValue(_save) is { } file ? WeightsFile.Of(SaveName, file, parsed.GetValue(_common.Overwrite)) : null;
        _common.ApplyTo(parsed, _output);
        var trainer = _common.TrainerOf(parsed, workload, world);
        Check(trainer, choice);
        if (checkpoint is not null)
            trainer.Check(choice, parsed.GetValue(_common.Seed), budget, checkpoint);
        return new(
            workload,
            choice,
            budget,
            monitor,
            trainer,
            checkpoint,
            weights,
            _common.FolderOf(parsed, world, "train-" + workload.Name),
            new(ProgramStart.Of(CommandLine.TextOf(parsed)), [parsed.GetValue(_common.Seed)])
        );
    }

    /// <summary>The workload and the optimizer. Pairs of --set go to the workload where it has a setting of that name, and to the optimizer
    /// otherwise.</summary>
    private (Workload, OptimizerChoice) SubjectOf(ParseResult parsed)
    {
        var workload = _common.UnsetWorkloadOf(parsed);
        var pairs = _common.PairsOf(parsed).ToLookup(p => workload.SettingNamed(p.Key) is not null);
        var settings = new Dictionary<string, string>(pairs[false]);
        if (parsed.GetValue(_rate) is { } rate)
            settings.Add(
                "LearningRate",
                settings.Keys.FirstOrDefault(name => Settings.Canonical(name) == Settings.Canonical("lr")) is { } before
                    ? throw new ArgumentException($"The learning rate has --lr {rate} and --set {before}={settings[before]}; give it once.")
                    : rate
            );
        return (
            workload.With(new Dictionary<string, string>(pairs[true])),
            new(OptimizerCatalog.Find(parsed.GetValue(_optimizer) ?? workload.DefaultOptimizer).Name, settings)
            {
                Schedule = _common.ScheduleOf(parsed),
            }
        );
    }

    private static void Check(Trainer trainer, OptimizerChoice choice)
    {
        try
        {
            trainer.Check(choice);
        }
        catch (UnknownOptionException e)
        {
            var workload = trainer.Workload;
            throw new ArgumentException($"{e.Message} Nor is it a setting of {workload.Name}{workload.Known}.", e);
        }
    }
}
