using Amari.Native;
using Amari.Optimizers;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Compares optimizers on one workload, each with the same budget and, when tuned, the same number of trials.</summary>
public static class OptimizerBenchmark
{
    private const double LongestWarming = 2,
        LeastWarming = 0.25; // seconds, before any clock runs
    private const double FirstRung = 0.25; // share of the budget in which all trials run
    private const int Survivors = 3; // one of so many goes on to the full budget
    private const int TuningSeed = 7919; // no measured seed sees the weights and batches it was tuned on

    /// <summary>Trains every optimizer with every seed. Before, each makes up to three steps on a model that is thrown away: what .NET
    /// compiles and libtorch loads once is in nobody's time.</summary>
    /// <param name="trainer">The workload with its data.</param>
    /// <param name="optimizers">At least one.</param>
    /// <param name="seeds">At least one.</param>
    /// <param name="budget">Of each run.</param>
    /// <param name="tuneTrials">Trials per optimizer over its search space: quasi-random, all at a quarter of the budget, the better third
    /// again at the full one, of which the best is taken. The first is the optimizer as it is by default; the workload's settings take no
    /// part, for nobody knows how many trials they took. 0 to take those settings without trials.</param>
    /// <param name="progress">Reports while runs train.</param>
    /// <param name="stop">Ends the comparison; the runs done so far, the current one included, are returned.</param>
    /// <param name="monitor">What of the curvature to watch in the measured runs, not in trials; null for nothing.</param>
    /// <param name="monitored">Receives what the monitors see, as it comes.</param>
    /// <param name="finished">Given what there is after every trial and every measured run.</param>
    /// <param name="earlier">What an interrupted comparison with the same arguments had come to: its runs and trials are kept, except those
    /// that were interrupted themselves; null to begin.</param>
    /// <param name="checkpoint">A folder in which the run under way saves itself, so that it need not begin again when the comparison is
    /// continued (<see cref="CheckpointOptions.Resume"/>); null for none. A run that has ended takes its checkpoints with it.</param>
    /// <remarks>A run or trial that throws is one that failed (<see cref="RunStatus.Failed"/>), and the others go on; over several ranks
    /// the exception is thrown. A trial that came apart is taken only where no other is left.</remarks>
    public static BenchmarkResult Compare(
        Trainer trainer,
        IReadOnlyList<OptimizerChoice> optimizers,
        IReadOnlyList<int> seeds,
        Budget budget,
        int tuneTrials,
        IProgress<RunProgress>? progress,
        CancellationToken stop,
        MonitorOptions? monitor = null,
        IProgress<MonitorLine>? monitored = null,
        IProgress<BenchmarkResult>? finished = null,
        BenchmarkResult? earlier = null,
        CheckpointOptions? checkpoint = null
    )
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(optimizers);
        ArgumentNullException.ThrowIfNull(seeds);
        ArgumentNullException.ThrowIfNull(budget);
        Require.AtLeast(0, tuneTrials, "number of trials");
        foreach (var choice in optimizers)
            trainer.Check(choice); // all bad arguments are told before anything runs
        var kept = new Kept(earlier);
        bool[] begins = [.. optimizers.Select(c => tuneTrials > 0 || seeds.Any(seed => kept.Find(trainer, c, seed) is null))];
        foreach (var (choice, begin) in optimizers.Zip(begins))
            if (begin && !trainer.IsStopped(stop))
                WarmUp(trainer, choice, budget.Seconds is { } s ? Math.Min(LongestWarming, s / 2) : LeastWarming);

        var trials = new List<Trial>();
        var runs = new List<(int Optimizer, TrainingRun Run)>();
        var chosen = optimizers
            .Select(
                (c, i) =>
                    tuneTrials == 0
                        ? c
                        : Tune(
                            trainer,
                            c,
                            budget,
                            tuneTrials,
                            Tried,
                            kept,
                            progress,
                            Folder(FormattableString.Invariant($"{i}-{c.Name}-tuning")),
                            stop
                        )
            )
            .ToList();
        foreach (int seed in seeds) // interleaved, so that a machine that slows down slows all alike
            for (int i = 0; i < chosen.Count; i++)
            {
                if (kept.Find(trainer, chosen[i], seed) is { } done)
                    runs.Add((i, done));
                else if (!trainer.IsStopped(stop))
                {
                    var request = new TrainingRequest(
                        chosen[i],
                        seed,
                        budget,
                        progress,
                        Folder(FormattableString.Invariant($"{i}-{chosen[i].Name}-{seed}")),
                        Monitor: monitor,
                        Monitored: monitored
                    );
                    runs.Add((i, Train(trainer, request, stop)));
                    Finished(request, runs[^1].Run.Status);
                }
            }
        return SoFar();

        BenchmarkResult SoFar() =>
            new(
                trainer.Workload.Name,
                trainer.Workload.Metric.Name,
                trainer.Workload.Target,
                budget,
                [.. runs.OrderBy(r => r.Optimizer).Select(r => r.Run)],
                [.. trials]
            );

        CheckpointOptions? Folder(string name) =>
            checkpoint is null
                ? null
                : new(Path.Combine(checkpoint.Directory, name), checkpoint.Resume, checkpoint.Interval) { IsTransient = true };

        void Tried(Trial trial, TrainingRequest? request)
        {
            trials.Add(trial);
            if (request is not null)
                Finished(request, trial.Status);
        }

        // What is kept is written first: a kill between the two leaves a checkpoint too many, not a run too few.
        void Finished(TrainingRequest request, RunStatus status)
        {
            finished?.Report(SoFar());
            if (status != RunStatus.Interrupted && trainer.IsFirst)
                Forget(request.Checkpoint);
        }
    }

    /// <summary>Deletes the checkpoints of a run, and the folder of all runs if it was the last there; what cannot be deleted costs space
    /// only.</summary>
    private static void Forget(CheckpointOptions? checkpoint)
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

    /// <summary>The runs and trials of an earlier comparison that are not done again.</summary>
    private sealed class Kept(BenchmarkResult? earlier)
    {
        private readonly List<TrainingRun> _runs = [.. (earlier?.Runs ?? []).Where(r => r.Status != RunStatus.Interrupted)];
        private readonly List<Trial> _trials = [.. (earlier?.Trials ?? []).Where(t => t.Status != RunStatus.Interrupted)];

        public TrainingRun? Find(Trainer trainer, OptimizerChoice choice, int seed) =>
            _runs.Count == 0 ? null
            : Options(trainer, choice) is var options
                ? _runs.Find(r =>
                    r.Optimizer.Equals(choice.Name, StringComparison.OrdinalIgnoreCase) && r.Seed == seed && Same(r.Options, options)
                )
            : null;

        /// <summary>The first trial of these options at this budget; it is not found again.</summary>
        public Trial? Take(Trainer trainer, OptimizerChoice choice, Budget budget)
        {
            var options = Options(trainer, choice);
            int at = _trials.FindIndex(t => t.Optimizer == choice.Name && t.Budget == budget && Same(t.Options, options));
            if (at < 0)
                return null;
            var trial = _trials[at];
            _trials.RemoveAt(at);
            return trial;
        }

        private static IReadOnlyDictionary<string, string> Options(Trainer trainer, OptimizerChoice choice) =>
            Settings.Describe(trainer.Options(choice));

        private static bool Same(IReadOnlyDictionary<string, string> a, IReadOnlyDictionary<string, string> b) =>
            a.Count == b.Count && a.All(p => b.TryGetValue(p.Key, out string? value) && value == p.Value);
    }

    /// <summary>A run; one that throws is a run that failed, unless other ranks wait for this one.</summary>
    private static TrainingRun Train(Trainer trainer, TrainingRequest request, CancellationToken stop)
    {
        if (request.Checkpoint is { Resume: false } && trainer.IsFirst)
            Forget(request.Checkpoint); // what an earlier comparison left
        try
        {
            return trainer.Attempt(request, stop);
        }
        catch (Exception e) when (trainer.IsAlone) // before it began
        {
            return trainer.Failed(request, e);
        }
    }

    /// <summary>What throws here throws in the measured run, too, which says so.</summary>
    private static void WarmUp(Trainer trainer, OptimizerChoice choice, double longest)
    {
        try
        {
            trainer.WarmUp(choice, longest);
        }
        catch (Exception) when (trainer.IsAlone) { }
    }

    private static OptimizerChoice Tune(
        Trainer trainer,
        OptimizerChoice choice,
        Budget budget,
        int count,
        Action<Trial, TrainingRequest?> tried,
        Kept kept,
        IProgress<RunProgress>? progress,
        CheckpointOptions? checkpoint,
        CancellationToken stop
    )
    {
        var entry = OptimizerCatalog.Find(choice.Name);
        var candidates = Enumerable
            .Range(0, count)
            .Select(i =>
                i == 0
                    ? FromDefaults([])
                    : FromDefaults(WithEffect([.. entry.SearchSpace.Zip(Point(i, entry.SearchSpace.Count), (d, u) => (d, d.At(u)))]))
            )
            .ToList();
        var shortBudget = budget.Seconds is { } s
            ? Budget.OfSeconds(s * FirstRung)
            : Budget.OfEpochs(Math.Max(1, (int)(budget.Epochs!.Value * FirstRung)));
        int number = 0,
            total = count + (count + Survivors - 1) / Survivors;
        var first = Rung(candidates, shortBudget);
        var second = Rung([.. Ranked(first).Take((count + Survivors - 1) / Survivors)], budget);
        return Ranked(second.Count > 0 ? second : first).FirstOrDefault(choice); // losses of unlike budgets tell nothing of one another

        // All options are given, so that the workload's settings have no say: they took somebody more trials than these.
        OptimizerChoice FromDefaults(IEnumerable<KeyValuePair<string, string>> varied) =>
            choice with
            {
                Settings = Settings.Describe(Settings.Apply(entry.OptionsType, [.. entry.Preset ?? [], .. varied, .. choice.Settings])),
            };

        // What a choice among them leaves without effect is no option then.
        IEnumerable<KeyValuePair<string, string>> WithEffect(IReadOnlyList<(SearchDimension Dimension, string Value)> point)
        {
            var always = Settings.Apply(
                entry.OptionsType,
                [.. entry.Preset ?? [], .. Named(point.Where(p => p.Dimension.Unless is null)), .. choice.Settings]
            );
            var space = entry.SearchSpaceOf(Settings.Describe(always));
            return Named(point.Where(p => space.Contains(p.Dimension)));
        }

        static IEnumerable<KeyValuePair<string, string>> Named(IEnumerable<(SearchDimension Dimension, string Value)> point) =>
            point.Select(p => KeyValuePair.Create(p.Dimension.Option, p.Value));

        // Diverged and failed ones, whose loss is infinite, come after those that came apart.
        static IEnumerable<OptimizerChoice> Ranked(List<(OptimizerChoice Choice, bool CameApart, double Loss)> trials) =>
            trials.OrderBy(t => double.IsInfinity(t.Loss)).ThenBy(t => t.CameApart).ThenBy(t => t.Loss).Select(t => t.Choice);

        List<(OptimizerChoice Choice, bool CameApart, double Loss)> Rung(IReadOnlyList<OptimizerChoice> rung, Budget length)
        {
            var results = new List<(OptimizerChoice, bool, double)>();
            foreach (var candidate in rung)
            {
                number++;
                var trial = kept.Take(trainer, candidate, length);
                TrainingRequest? request = null;
                if (trial is null)
                {
                    if (trainer.IsStopped(stop))
                        break;
                    request = new(
                        candidate,
                        TuningSeed,
                        length,
                        new Staged(progress, $"tuning {number}/{total}"),
                        checkpoint is null
                            ? null
                            : checkpoint with
                            {
                                Directory = FormattableString.Invariant($"{checkpoint.Directory}-{number}"),
                            }
                    );
                    var run = Train(trainer, request, stop);
                    double loss = run.Status is RunStatus.Diverged or RunStatus.Failed ? double.NaN : run.FinalLoss;
                    trial = new(choice.Name, run.Options, length, loss) { Status = run.Status, Failure = run.Failure };
                }
                tried(trial, request);
                results.Add(
                    (candidate, trial.Status == RunStatus.CameApart, double.IsNaN(trial.Loss) ? double.PositiveInfinity : trial.Loss)
                );
            }
            return results;
        }
    }

    /// <summary>The i-th point of an additive sequence in [0, 1)ⁿ, spread evenly however few points and many dimensions (Roberts 2018, "The
    /// unreasonable effectiveness of quasirandom sequences"): ½ + i φ⁻¹, ½ + i φ⁻², ... modulo 1, where φⁿ⁺¹ = φ + 1.</summary>
    internal static double[] Point(int i, int dimensions)
    {
        double root = 2;
        for (int k = 0; k < 64; k++)
            root = Math.Pow(1 + root, 1.0 / (dimensions + 1));
        return [.. Enumerable.Range(1, dimensions).Select(k => (0.5 + i * Math.Pow(root, -k)) % 1)];
    }

    private sealed class Staged(IProgress<RunProgress>? inner, string stage) : IProgress<RunProgress>
    {
        public void Report(RunProgress value) => inner?.Report(value with { Stage = stage });
    }
}
