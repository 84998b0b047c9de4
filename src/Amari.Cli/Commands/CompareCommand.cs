using System.CommandLine;
using Amari.Distributed;
using Amari.Reporting;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari compare</c>: trains a workload with several optimizers and reports which one to use, and why.</summary>
internal sealed class CompareCommand
{
    private const int MaxRuns = 1_000_000; // per optimizer
    private readonly CommonOptions _common = new();
    private readonly MonitorArguments _monitoring = new();
    private readonly LogArguments _logging = new();
    private readonly LiveArguments _live = new();
    private readonly Option<string> _optimizers = new("--optimizers")
    {
        Description = "comma-separated: " + string.Join(", ", OptimizerCatalog.All.Select(o => o.Name)),
        DefaultValueFactory = _ => "adamw,routed-muon,kfac",
        HelpName = "NAMES",
    };
    private readonly Option<int> _seeds = TypedOptions.Integer("--seeds", "runs per optimizer, with consecutive seeds", 1, 3, MaxRuns);
    private readonly Option<int> _tune = TypedOptions.Integer(
        "--tune",
        "tuning trials per optimizer, from its defaults over its own search space; 0 uses the defaults",
        0,
        0,
        MaxRuns
    );
    private readonly Option<bool> _workloadSettings = new("--workload-settings")
    {
        Description = "use the workload's own settings, found with an unknown number of trials, in place of defaults",
    };
    private readonly Option<DirectoryInfo?> _resume = TypedOptions.ResultsFolder(
        "--resume",
        "continue the interrupted comparison in this folder; arguments that are not repeated are taken from there"
    );
    private readonly Option<Budget?> _interval = CommonOptions.CheckpointInterval();
    private readonly TextWriter _output;
    private readonly Command _command;
    private readonly ContinuedArguments _arguments;

    private CompareCommand(TextWriter output)
    {
        _output = output;
        _command = new("compare", "Train a workload with several optimizers and report which one to use.")
        {
            _optimizers,
            _seeds,
            _tune,
            _workloadSettings,
            _resume,
            _interval,
        };
        _common.AddTo(_command);
        _monitoring.AddTo(_command);
        _logging.AddTo(_command);
        _live.AddTo(_command);
        _arguments = new(
            _command,
            _common,
            [_common.Set, _common.Out, _common.Json, _common.Overwrite, _common.RankTimeout, _resume, .. _logging.All, _live.Option],
            [_interval],
            [_optimizers, _seeds, _tune, _common.Seed, _common.Threads, _common.Start]
        );
        _command.SetAction(parsed => Ranks.Run(parsed, _common, world => Run(parsed, world)));
    }

    public static Command Create(TextWriter output) => new CompareCommand(output)._command;

    /// <summary>The comparison on one workload. Owns the trainer.</summary>
    private sealed record Panel(Workload Workload, Budget Budget, Trainer Trainer);

    /// <summary>A comparison whose arguments are all valid. Owns the trainers and the folder.</summary>
    /// <param name="Line">The command line, merged with that of an interrupted comparison.</param>
    /// <param name="File">The saved arguments and results so far.</param>
    /// <param name="Choices">The optimizers.</param>
    /// <param name="Panels">The workloads.</param>
    /// <param name="Monitor">The monitor options; null for none.</param>
    /// <param name="Folder">The folder of results; null except on rank 0.</param>
    private sealed record Setup(
        ParseResult Line,
        ComparisonFile File,
        IReadOnlyList<OptimizerChoice> Choices,
        IReadOnlyList<Panel> Panels,
        MonitorOptions? Monitor,
        ResultFolder? Folder
    ) : IDisposable
    {
        public void Dispose()
        {
            Folder?.Dispose();
            foreach (var panel in Panels)
                panel.Trainer.Dispose();
        }

        /// <summary>The results so far, with all workloads.</summary>
        public IReadOnlyList<ReportSection> Sections() =>
            [
                .. Panels.Select(p => new ReportSection(
                    (File.SoFar.FirstOrDefault(c => c.Workload == p.Workload.Name) ?? BenchmarkResult.Of(p.Trainer, p.Budget, [], [])) with
                    {
                        Provenance = File.Provenance,
                    },
                    p.Workload
                )),
            ];

        /// <summary>Saves the results so far.</summary>
        public void Save(IReadOnlyList<BenchmarkResult> soFar)
        {
            if (soFar.Any(c => c is { Runs.Count: > 0 } or { Trials.Count: > 0 }))
                Folder?.WriteInterim(
                    ResultFolder.Document,
                    ResultJson.Of([.. soFar.Select(c => c with { Provenance = File.Provenance })], partial: true)
                );
            Folder?.WriteInterim(ComparisonFile.FileName, (File with { SoFar = soFar }).ToJson());
        }
    }

    private int Run(ParseResult parsed, Communicator world)
    {
        string saved = world.Broadcast(world.Agree(() => world.Rank == 0 ? Saved(parsed.GetValue(_resume)) : null), 0);
        using var setup = world.Agree(() => Prepare(parsed, world, saved));
        int runs = setup.Choices.Count * setup.Line.GetValue(_seeds) * setup.Panels.Count;
        bool continues = parsed.GetValue(_resume) is not null;
        using var logs = world.Agree(() => _logging.Open(parsed, _common, setup.Folder, continues, setup.Panels.Count > 1));
        using var interrupt = new Interrupt();
        using var live = world.Agree(() => _live.Open(parsed, setup.Folder, setup.Sections, interrupt));
        setup.Save(setup.File.SoFar);
        using var log = setup.Monitor is null || setup.Folder is null ? null : new MonitorLog(setup.Folder);
        var earlier = setup.File.SoFar.SelectMany(c => c.Runs).Where(r => r.Status != RunStatus.Interrupted).ToList();
        foreach (var run in earlier)
        foreach (var row in run.Monitor?.Rows ?? [])
            log?.Report(new(run.Optimizer, run.Seed, row));
        if (saved.Length > 0)
            _output.WriteLine($"The comparison continues; {earlier.Count} of {runs} runs are done.");
        var left = new TimeLeft();
        foreach (var panel in setup.Panels)
            left.Plan(
                BenchmarkSession.Parts(panel.Workload, setup.Choices, setup.Line.GetValue(_seeds), panel.Budget, setup.Line.GetValue(_tune))
            );
        var comparisons = new List<BenchmarkResult>();
        foreach (var panel in setup.Panels)
            comparisons.Add(Compare(parsed, world, setup, panel, comparisons, saved.Length > 0, logs, live, left, log, interrupt.Token));
        var all = comparisons.SelectMany(c => c.Runs).ToList();
        bool partial = all.Count(r => r.Status != RunStatus.Interrupted) < runs;
        if (setup.Folder is not { } folder)
            return partial ? 1 : Report.ExitCode(comparisons);
        int code = Report.Write(
            [.. comparisons.Zip(setup.Panels, (c, p) => (c with { Provenance = setup.File.Provenance }, p.Workload))],
            folder,
            _output,
            partial
        );
        live?.End(LiveArguments.EndOf(comparisons, folder), comparisons);
        if (partial)
            _output.WriteLine($"To continue: amari compare --resume {ResultFolder.Relative(folder.Path)}");
        var failed = all.Where(r => r.Failure is not null).ToList();
        if (failed is [var first, ..])
            CommandLine.ReportFailure(
                parsed,
                $"{failed.Count} of {all.Count} runs failed, first {first.Optimizer} with seed {first.Seed}",
                first.Failure!
            );
        return code;
    }

    private BenchmarkResult Compare(
        ParseResult parsed,
        Communicator world,
        Setup setup,
        Panel panel,
        IReadOnlyList<BenchmarkResult> before,
        bool resume,
        RunLogs logs,
        LiveServer? live,
        TimeLeft left,
        MonitorLog? log,
        CancellationToken stop
    )
    {
        var checkpoint = new CheckpointOptions(
            setup.Folder?.FileNamed(ComparisonFile.Unfinished) ?? ComparisonFile.Unfinished,
            resume,
            CommonOptions.IntervalOf(parsed.GetValue(_interval) is null ? setup.Line : parsed, _interval)
        );
        using var view = setup.Folder is null
            ? null
            : new ProgressView(_output, CommonOptions.Title(panel.Trainer, $"{panel.Budget} per run", world));
        var earlier = setup.File.SoFar.FirstOrDefault(c => c.Workload == panel.Workload.Name);
        var later = setup.File.SoFar.Where(c => c != earlier && before.All(b => b.Workload != c.Workload)).ToList();
        return CommandLine.Running(() =>
            OptimizerBenchmark.Compare(
                panel.Trainer,
                setup.Choices,
                SeedsOf(setup.Line),
                panel.Budget,
                setup.Line.GetValue(_tune),
                new ImmediateProgress<RunProgress>(value =>
                {
                    view?.Report(value);
                    logs.Report(value);
                    live?.Report(value);
                }),
                setup.Monitor,
                log,
                new ImmediateProgress<BenchmarkResult>(soFar => setup.Save([.. before, soFar, .. later])),
                earlier,
                checkpoint,
                setup.Line.GetValue(_workloadSettings),
                left,
                stop
            )
        );
    }

    /// <summary>Checks all arguments.</summary>
    /// <exception cref="ArgumentException">One is invalid.</exception>
    private Setup Prepare(ParseResult parsed, Communicator world, string saved)
    {
        var continued = Continued(parsed, saved);
        var line = continued is null ? parsed : _arguments.Continue(parsed, continued.Arguments, $"'{parsed.GetValue(_resume)}'");
        bool isDefault =
            line.GetValue(_common.Workload) is null && line.GetValue(_common.Assembly) is null && line.GetValue(_common.Csv) is null;
        IReadOnlyList<(Workload Workload, Budget? Budget)> workloads = isDefault
            ? [.. WorkloadCatalog.FirstComparison.Select(w => (w.Workload.With(_common.PairsOf(line)), w.Budget))]
            : [(_common.WorkloadOf(line), null)];
        if (line.GetValue(_tune) > 0 && line.GetValue(_workloadSettings))
            throw new ArgumentException("Use --tune or --workload-settings, not both.");
        var schedule = line.GetValue(_tune) > 0 && !_common.SetsSchedule(line) ? null : _common.ScheduleOf(line);
        var choices = CommonOptions
            .OptimizersOf(_optimizers, line.GetValue(_optimizers)!)
            .Select(entry => new OptimizerChoice(entry.Name, new Dictionary<string, string>()) { Schedule = schedule })
            .ToList();
        var monitor = _monitoring.Of(line);
        int[] seeds = SeedsOf(line);
        _common.ApplyTo(line, _output);
        var panels = workloads
            .Select(w => new Panel(
                w.Workload,
                _common.BudgetOf(line, w.Budget ?? w.Workload.DefaultBudget),
                _common.TrainerOf(line, w.Workload, world)
            ))
            .ToList();
        foreach (var panel in panels)
        foreach (var choice in choices)
            panel.Trainer.Check(choice);
        List<MeasuredSubject> subjects = [.. panels.Select(p => MeasuredSubject.Of(p.Trainer))];
        foreach (var subject in subjects)
            if (continued?.Subjects.FirstOrDefault(s => s.Workload == subject.Workload) is { } before)
                subject.RequireSame(before, $"{parsed.GetValue(_resume)}");
        string? json = parsed.GetValue(_common.Json) is { } path ? FullPath(path) : continued?.Json;
        var arguments =
            continued?.Arguments
            ?? (
                isDefault
                    ? _arguments.Of(parsed, null, _common.BudgetOf(line))
                    : _arguments.Of(parsed, panels[0].Workload, panels[0].Budget)
            );
        var provenance = ProvenanceOf(parsed, seeds, continued, runs: choices.Count * seeds.Length * panels.Count);
        var folder =
            world.Rank > 0 ? null : FolderOf(parsed, isDefault ? "compare" : "compare-" + panels[0].Workload.Name, json, continued);
        return new(
            line,
            new(arguments, json, continued?.SoFar ?? [], provenance) { Subjects = subjects },
            choices,
            panels,
            monitor,
            folder
        );
    }

    /// <summary>The seeds of each optimizer's runs.</summary>
    /// <exception cref="ArgumentException">The last one is too large.</exception>
    private int[] SeedsOf(ParseResult line)
    {
        int first = line.GetValue(_common.Seed),
            count = line.GetValue(_seeds),
            max = int.MaxValue - count + 1;
        return first <= max
            ? [.. Enumerable.Range(first, count)]
            : throw new ArgumentException(
                $"{_common.Seed.Name} is {first}; with {_seeds.Name} {count} it must be an integer >= 0 and <= {max}."
            );
    }

    /// <summary>The provenance with this start, unless an earlier one has completed all runs.</summary>
    private static Provenance ProvenanceOf(ParseResult parsed, int[] seeds, ComparisonFile? continued, int runs)
    {
        var start = ProgramStart.Of(CommandLine.TextOf(parsed));
        return continued?.Provenance is not { } earlier ? new(start, seeds)
            : continued.SoFar.Sum(c => c.Runs.Count(r => r.Status != RunStatus.Interrupted)) == runs ? earlier
            : earlier.ContinuedBy(start);
    }

    private ResultFolder FolderOf(ParseResult parsed, string name, string? json, ComparisonFile? continued)
    {
        bool overwrite = parsed.GetValue(_common.Overwrite);
        bool isOwn = json is not null && json == continued?.Json;
        var target = CommonOptions.JsonOf(parsed, json, overwrite || isOwn);
        return ResultFolder.Prepare(
            (parsed.GetValue(_resume) ?? parsed.GetValue(_common.Out))?.FullName,
            overwrite || continued is not null,
            name,
            target,
            [ResultFolder.Document, ComparisonFile.FileName, .. Report.Files],
            parsed.InvocationConfiguration.Output,
            parsed.InvocationConfiguration.Error
        );
    }

    /// <summary>The comparison to continue; null for a new one.</summary>
    private ComparisonFile? Continued(ParseResult parsed, string saved)
    {
        if (parsed.GetValue(_resume) is not { } folder)
            return null;
        var continued = CommandLine.Reading(() => ComparisonFile.Parse(saved, FileIn(folder)));
        if (parsed.GetValue(_common.Out) is { } other && Path.GetRelativePath(folder.FullName, other.FullName) != ".")
            throw new ArgumentException($"--resume is '{folder}' and --out '{other}': a comparison continues in its own folder.");
        return continued;
    }

    /// <summary>A path that stays valid if the comparison is continued from another folder. Standard output stays as it is.</summary>
    private static string FullPath(string path) => OutputTarget.IsOutput(path) ? path : Path.GetFullPath(path);

    /// <summary>The saved state of the comparison to continue; null for a new one.</summary>
    /// <exception cref="ArgumentException">The folder has none.</exception>
    private static string? Saved(DirectoryInfo? folder) =>
        folder is null ? null
        : File.Exists(FileIn(folder)) ? File.ReadAllText(FileIn(folder))
        : throw new ArgumentException($"'{folder}' holds no comparison to continue: there is no {ComparisonFile.FileName}.");

    private static string FileIn(DirectoryInfo folder) => Path.Combine(folder.ToString(), ComparisonFile.FileName);
}
