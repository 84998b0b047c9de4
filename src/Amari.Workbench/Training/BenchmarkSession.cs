using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>One comparison of <see cref="OptimizerBenchmark"/>: warms up, tunes, then trains every optimizer with every seed.</summary>
internal sealed class BenchmarkSession(
    Trainer trainer,
    IReadOnlyList<OptimizerChoice> optimizers,
    IReadOnlyList<int> seeds,
    Budget budget,
    int tuneTrials,
    CancellationToken stop
)
{
    private const double MaxWarmUp = 2,
        MinWarmUp = 0.25; // seconds, before any clock runs
    private const double FirstRung = 0.25; // share of the budget of the first rung of successive halving
    private const int ReductionFactor = 3; // one of this many trials continues with the full budget
    private const int FirstTuningSeed = 7919;

    private readonly List<Trial> _trials = [];
    private readonly List<(int Optimizer, TrainingRun Run)> _runs = [];

    public IProgress<RunProgress>? Progress { get; init; }
    public MonitorOptions? Monitor { get; init; }
    public IProgress<MonitorLine>? Monitored { get; init; }
    public IProgress<BenchmarkResult>? Finished { get; init; }
    public EarlierRuns Earlier { get; init; } = new(null);
    public CheckpointOptions? Checkpoint { get; init; }
    public bool WorkloadSettings { get; init; }

    /// <summary>Holds the <see cref="Parts"/> of this comparison, and of those that follow.</summary>
    public required TimeLeft Left { get; init; }

    /// <summary>What a comparison has to do if nothing of it is done.</summary>
    public static IEnumerable<WorkPart> Parts(
        Workload workload,
        IReadOnlyList<OptimizerChoice> optimizers,
        int seeds,
        Budget budget,
        int tuneTrials
    ) =>
        from choice in optimizers
        let run = new WorkPart(workload.Name, choice.Name, budget)
        from part in (IEnumerable<WorkPart>)
            [
                WarmUpOf(run),
                .. Enumerable.Repeat(run with { Budget = FirstRungOf(budget) }, tuneTrials),
                .. Enumerable.Repeat(run, Promoted(tuneTrials) + seeds),
            ]
        select part;

    private static WorkPart WarmUpOf(WorkPart run) =>
        run with
        {
            Budget = Budget.OfSeconds(run.Budget.Seconds is { } s ? Math.Min(MaxWarmUp, s / 2) : MinWarmUp),
            IsWarmUp = true,
        };

    private static Budget FirstRungOf(Budget budget) =>
        budget.Seconds is { } s ? Budget.OfSeconds(s * FirstRung) : Budget.OfEpochs(Math.Max(1, (int)(budget.Epochs!.Value * FirstRung)));

    private static int Promoted(int trials) => (trials + ReductionFactor - 1) / ReductionFactor;

    /// <summary>No measured seed, so that the weights and batches of tuning are not measured.</summary>
    private int TuningSeed => Enumerable.Range(FirstTuningSeed, seeds.Count + 1).First(seed => !seeds.Contains(seed));

    private WorkPart PartOf(OptimizerChoice choice) => new(trainer.Workload.Name, choice.Name, budget);

    public BenchmarkResult Run()
    {
        var start = optimizers.Select(Start).ToList();
        bool[] trains = [.. start.Select(c => tuneTrials > 0 || seeds.Any(seed => Earlier.Find(trainer, c, seed) is null))];
        foreach (var (choice, train) in start.Zip(trains))
            if (!train)
                Left.Skip(WarmUpOf(PartOf(choice)));
            else if (!trainer.IsStopped(stop))
                WarmUp(choice);
        var chosen = tuneTrials == 0 ? start : Tuned();
        foreach (int seed in seeds) // interleaved, so that a machine that slows down affects all optimizers equally
            for (int i = 0; i < chosen.Count; i++)
            {
                if (Earlier.Find(trainer, chosen[i], seed) is { } done)
                {
                    _runs.Add((i, done));
                    Left.Skip(PartOf(chosen[i]));
                }
                else if (!trainer.IsStopped(stop))
                    Train(chosen[i], i, seed);
            }
        return SoFar();
    }

    /// <summary>A choice as it runs without tuning. All options are set, so that the workload's settings, found with an unknown number of
    /// trials, are not used unless they are requested.</summary>
    private OptimizerChoice Start(OptimizerChoice choice) =>
        (WorkloadSettings ? choice : FromDefaults(choice, [])) with
        {
            Schedule = choice.Schedule ?? Schedule.Default,
        };

    private static OptimizerChoice FromDefaults(OptimizerChoice choice, IEnumerable<KeyValuePair<string, string>> varied)
    {
        var entry = OptimizerCatalog.Find(choice.Name);
        return choice with
        {
            Settings = Settings.Describe(Settings.Apply(entry.OptionsType, [.. entry.Preset ?? [], .. varied, .. choice.Settings])),
        };
    }

    private List<OptimizerChoice> Tuned()
    {
        using var tuning = trainer.ForTuning();
        return [.. optimizers.Select((c, i) => Tune(tuning, c, i))];
    }

    /// <summary>An exception here occurs again in the measured run, which reports it.</summary>
    private void WarmUp(OptimizerChoice choice)
    {
        var part = WarmUpOf(PartOf(choice));
        try
        {
            Left.Measure(part, () => trainer.WarmUp(choice, part.Amount));
        }
        catch (Exception) when (trainer.IsAlone) { }
    }

    private void Train(OptimizerChoice choice, int index, int seed)
    {
        var request = new TrainingRequest(
            choice,
            seed,
            budget,
            Progress,
            Folder(FormattableString.Invariant($"{index}-{choice.Name}-{seed}")),
            Monitor: Monitor,
            Monitored: Monitored
        );
        _runs.Add((index, Attempt(trainer, request, running => SoFar(index, running))));
        Finish(request, _runs[^1].Run.Status);
    }

    /// <summary>A run. If it throws, it has failed, unless other ranks wait for this one.</summary>
    /// <param name="with">The trainer.</param>
    /// <param name="request">The run.</param>
    /// <param name="soFar">The results so far, from those with the run alone.</param>
    private TrainingRun Attempt(Trainer with, TrainingRequest request, Func<Lazy<BenchmarkResult>, Lazy<BenchmarkResult>> soFar)
    {
        if (request.Checkpoint is { Resume: false } && trainer.IsFirst)
            Delete(request.Checkpoint); // left by an earlier comparison
        try
        {
            return Left.Measure(
                PartOf(request.Choice) with
                {
                    Budget = request.Budget,
                },
                () => with.Attempt(request with { Progress = new Timed(request.Progress, Left, soFar) }, stop)
            );
        }
        catch (Exception e) when (trainer.IsAlone) // before it started
        {
            return with.Failed(request, e);
        }
    }

    private OptimizerChoice Tune(Trainer tuning, OptimizerChoice choice, int index)
    {
        var entry = OptimizerCatalog.Find(choice.Name);
        bool variesSchedule = choice.Schedule is null && entry.OwnSchedule is null;
        IReadOnlyList<SearchDimension> space = [.. entry.SearchSpace, .. variesSchedule ? OptimizerBenchmark.ScheduleSpace : []];
        int promoted = Promoted(tuneTrials);
        var candidates = Enumerable.Range(0, tuneTrials).Select(Candidate).ToList();
        var folder = Folder(FormattableString.Invariant($"{index}-{choice.Name}-tuning"));
        int number = 0;
        var first = Rung(candidates, FirstRungOf(budget));
        var second = Rung([.. Ranked(first).Take(promoted)], budget);
        return Ranked(second.Count > 0 ? second : first).FirstOrDefault(Start(choice)); // losses with different budgets are not comparable

        OptimizerChoice Candidate(int i)
        {
            if (i == 0)
                return FromDefaults(choice, []) with { Schedule = choice.Schedule ?? Schedule.Default };
            string[] values = [.. space.Zip(OptimizerBenchmark.Point(i, space.Count), (d, u) => d.At(u))];
            return FromDefaults(choice, WithEffect([.. entry.SearchSpace.Zip(values)])) with
            {
                Schedule = variesSchedule ? OptimizerBenchmark.ScheduleOf(values[^2], values[^1]) : choice.Schedule ?? Schedule.Default,
            };
        }

        // Without the options that a choice among the varied ones makes meaningless.
        IEnumerable<KeyValuePair<string, string>> WithEffect(IReadOnlyList<(SearchDimension Dimension, string Value)> point)
        {
            var always = Settings.Apply(
                entry.OptionsType,
                [.. entry.Preset ?? [], .. Named(point.Where(p => p.Dimension.Unless is null)), .. choice.Settings]
            );
            var effective = entry.SearchSpaceOf(Settings.Describe(always));
            return Named(point.Where(p => effective.Contains(p.Dimension)));
        }

        static IEnumerable<KeyValuePair<string, string>> Named(IEnumerable<(SearchDimension Dimension, string Value)> point) =>
            point.Select(p => KeyValuePair.Create(p.Dimension.Option, p.Value));

        List<(OptimizerChoice Choice, Trial Trial)> Rung(IReadOnlyList<OptimizerChoice> rung, Budget length)
        {
            var results = new List<(OptimizerChoice, Trial)>();
            foreach (var candidate in rung)
            {
                number++;
                if (TrialOf(tuning, candidate, length, $"tuning {number}/{tuneTrials + promoted}", folder, number) is not { } trial)
                    break;
                results.Add((candidate, trial));
            }
            return results;
        }
    }

    /// <summary>Best first. Diverged and failed trials, which have no loss, come last, after those that came apart.</summary>
    private IEnumerable<OptimizerChoice> Ranked(List<(OptimizerChoice Choice, Trial Trial)> trials) =>
        trials
            .OrderBy(t => !double.IsFinite(t.Trial.Loss))
            .ThenBy(t => t.Trial.Status == RunStatus.CameApart)
            .ThenBy(t => Judged(t.Trial))
            .Select(t => t.Choice);

    /// <summary>What the target judges, on the validation part; lower is better. A metric of the model, such as the error against a known
    /// solution, is for the end: where there is a validation loss, that is judged.</summary>
    private double Judged(Trial trial)
    {
        var workload = trainer.Workload;
        bool byMetric =
            trainer.Target.Metric == workload.Metric.Name && !(workload.Metric.OfModel is not null && double.IsFinite(trial.Loss));
        return byMetric ? (workload.Metric.HigherIsBetter ? -trial.Metric : trial.Metric) : trial.Loss;
    }

    /// <summary>The trial of an earlier comparison, or a new one; null if the comparison was stopped.</summary>
    private Trial? TrialOf(Trainer tuning, OptimizerChoice candidate, Budget length, string stage, CheckpointOptions? folder, int number)
    {
        var trial = Earlier.Take(tuning, candidate, length);
        if (trial is not null)
        {
            _trials.Add(trial);
            Left.Skip(PartOf(candidate) with { Budget = length });
            return trial;
        }
        if (trainer.IsStopped(stop))
            return null;
        var checkpoint = folder is null ? null : folder with { Directory = FormattableString.Invariant($"{folder.Directory}-{number}") };
        var request = new TrainingRequest(candidate, TuningSeed, length, new Staged(Progress, stage), checkpoint);
        var run = Attempt(tuning, request, _ => new(SoFar()));
        double loss = run.Status is RunStatus.Diverged or RunStatus.Failed ? double.NaN : run.FinalHeldOutLoss;
        trial = new(candidate.Name, run.Options, length, loss)
        {
            Metric = run.FinalMetric,
            Schedule = run.Schedule,
            Status = run.Status,
            Failure = run.Failure,
        };
        _trials.Add(trial);
        Finish(request, trial.Status);
        return trial;
    }

    private static IReadOnlyList<TrainingRun> InOrder(IEnumerable<(int Optimizer, TrainingRun Run)> runs) =>
        [.. runs.OrderBy(r => r.Optimizer).Select(r => r.Run)];

    /// <summary>The results so far with a run that trains, which is only read when they are.</summary>
    private Lazy<BenchmarkResult> SoFar(int index, Lazy<BenchmarkResult> running)
    {
        var (before, runs) = (SoFar(), _runs.ToList());
        return new(() => before with { Runs = InOrder([.. runs, (index, running.Value.Runs[0])]) });
    }

    private BenchmarkResult SoFar() =>
        BenchmarkResult.Of(trainer, budget, InOrder(_runs), [.. _trials]) with
        {
            Settings =
                tuneTrials > 0 ? SettingsSource.Tuned
                : WorkloadSettings ? SettingsSource.Workload
                : SettingsSource.Defaults,
            Schedule = optimizers.Select(c => c.Schedule ?? (tuneTrials > 0 ? null : Schedule.Default)).Distinct().ToList() is [var one]
                ? one
                : null,
        };

    private CheckpointOptions? Folder(string name) =>
        Checkpoint is null
            ? null
            : new(Path.Combine(Checkpoint.Directory, name), Checkpoint.Resume, Checkpoint.Interval) { IsTransient = true };

    /// <summary>Reports the results so far, then deletes the checkpoints of the run: a kill between the two leaves a checkpoint too many,
    /// not a run too few.</summary>
    private void Finish(TrainingRequest request, RunStatus status)
    {
        Finished?.Report(SoFar());
        if (status != RunStatus.Interrupted && trainer.IsFirst)
            Delete(request.Checkpoint);
    }

    /// <summary>Deletes the checkpoints of a run, and the folder of all runs if it is then empty. Files that cannot be deleted only take
    /// space.</summary>
    private static void Delete(CheckpointOptions? checkpoint)
    {
        if (checkpoint is null || !Directory.Exists(checkpoint.Directory))
            return;
        try
        {
            Directory.Delete(checkpoint.Directory, recursive: true);
            string all = Path.GetDirectoryName(checkpoint.Directory)!;
            if (!Directory.EnumerateFileSystemEntries(all).Any())
                Directory.Delete(all);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException) { }
    }

    private sealed class Staged(IProgress<RunProgress>? inner, string stage) : IProgress<RunProgress>
    {
        public void Report(RunProgress value) => inner?.Report(value with { Stage = stage });
    }

    private sealed class Timed(IProgress<RunProgress>? inner, TimeLeft left, Func<Lazy<BenchmarkResult>, Lazy<BenchmarkResult>> soFar)
        : IProgress<RunProgress>
    {
        public void Report(RunProgress value) =>
            inner?.Report(
                value with
                {
                    AllSecondsLeft = left.After(value.Fraction, hasEnded: value.Status is not null),
                    SoFar = () => soFar(value.SoFar!()),
                }
            );
    }
}
