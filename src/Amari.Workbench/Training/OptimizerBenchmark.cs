using System.Globalization;
using Amari.Native;
using Amari.Optimizers;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Compares optimizers on one workload, each with the same budget and, if tuned, the same number of trials.</summary>
public static class OptimizerBenchmark
{
    /// <summary>Trains every optimizer with every seed. Before, each optimizer makes a few steps on a temporary model, so that compilation
    /// by .NET and one-time loading by libtorch do not count as training time.</summary>
    /// <param name="trainer">The workload with its data.</param>
    /// <param name="optimizers">At least one.</param>
    /// <param name="seeds">At least one.</param>
    /// <param name="budget">The budget of each run.</param>
    /// <param name="tuneTrials">Trials per optimizer over its search space and, if its choice has no schedule, over shapes and warm-ups of
    /// the schedule: quasi-random, all at a quarter of the budget, then the best third at the full budget, each with its whole
    /// schedule; the best of these is used. The first trial has the optimizer's defaults. Trials do not train on the validation part of
    /// the training data, by which they are judged, and never see the test set. With 0 every optimizer runs with its defaults.</param>
    /// <param name="progress">Receives the progress of runs.</param>
    /// <param name="stop">Ends the comparison. The runs so far, including the current one, are returned.</param>
    /// <param name="monitor">Curvature monitoring of the measured runs, not of trials; null for none.</param>
    /// <param name="monitored">Receives the monitors' rows immediately.</param>
    /// <param name="finished">Receives the results so far after every trial and every measured run.</param>
    /// <param name="earlier">The results of an interrupted comparison with the same arguments, to continue it. Its runs and trials are
    /// kept, except interrupted ones. Null for a new comparison.</param>
    /// <param name="checkpoint">A folder in which the current run saves itself, so that a continued comparison need not repeat it
    /// (<see cref="CheckpointOptions.Resume"/>); null for none. A run that has ended deletes its checkpoints.</param>
    /// <param name="workloadSettings">Whether, without tuning, the workload's settings are used in place of defaults. The number of trials
    /// behind them is unknown.</param>
    /// <remarks>A run or trial that throws has the status <see cref="RunStatus.Failed"/>, and the others continue. With several ranks the
    /// exception is thrown. A trial that came apart is only used if there is no other.</remarks>
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
        CheckpointOptions? checkpoint = null,
        bool workloadSettings = false
    )
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(optimizers);
        ArgumentNullException.ThrowIfNull(seeds);
        ArgumentNullException.ThrowIfNull(budget);
        Require.AtLeast(0, tuneTrials, "number of trials");
        var left = new TimeLeft();
        left.Plan(BenchmarkSession.Parts(trainer.Workload, optimizers, seeds.Count, budget, tuneTrials));
        return Compare(
            trainer,
            optimizers,
            seeds,
            budget,
            tuneTrials,
            progress,
            monitor,
            monitored,
            finished,
            earlier,
            checkpoint,
            workloadSettings,
            left,
            stop
        );
    }

    /// <summary>As the public method, as one of several comparisons of a command, which are all planned in
    /// <paramref name="left"/>.</summary>
    internal static BenchmarkResult Compare(
        Trainer trainer,
        IReadOnlyList<OptimizerChoice> optimizers,
        IReadOnlyList<int> seeds,
        Budget budget,
        int tuneTrials,
        IProgress<RunProgress>? progress,
        MonitorOptions? monitor,
        IProgress<MonitorLine>? monitored,
        IProgress<BenchmarkResult>? finished,
        BenchmarkResult? earlier,
        CheckpointOptions? checkpoint,
        bool workloadSettings,
        TimeLeft left,
        CancellationToken stop
    )
    {
        foreach (var choice in optimizers)
            trainer.Check(choice); // report all invalid arguments before anything runs
        return new BenchmarkSession(trainer, optimizers, seeds, budget, tuneTrials, stop)
        {
            Progress = progress,
            Monitor = monitor,
            Monitored = monitored,
            Finished = finished,
            Earlier = new(earlier),
            Checkpoint = checkpoint,
            WorkloadSettings = workloadSettings,
            Left = left,
        }.Run();
    }

    /// <summary>The dimensions of the schedule in every optimizer's search space.</summary>
    internal static IReadOnlyList<SearchDimension> ScheduleSpace { get; } =
    [new SearchChoice("Schedule", [.. Enum.GetValues<ScheduleShape>().Select(Schedule.NameOf)]), new SearchChoice("Warmup", ["0", "0.05"])];

    /// <summary>The schedule of two values of <see cref="ScheduleSpace"/>.</summary>
    internal static Schedule ScheduleOf(string shape, string warmup) =>
        new(Schedule.ParseShape(shape)) { Warmup = double.Parse(warmup, CultureInfo.InvariantCulture) };

    /// <summary>The i-th point of an additive sequence in [0, 1)ⁿ, evenly spread for few points and many dimensions (Roberts 2018, "The
    /// unreasonable effectiveness of quasirandom sequences"): ½ + i φ⁻¹, ½ + i φ⁻², ... modulo 1, with φⁿ⁺¹ = φ + 1.</summary>
    internal static double[] Point(int i, int dimensions)
    {
        double root = 2;
        for (int k = 0; k < 64; k++)
            root = Math.Pow(1 + root, 1.0 / (dimensions + 1));
        return [.. Enumerable.Range(1, dimensions).Select(k => (0.5 + i * Math.Pow(root, -k)) % 1)];
    }
}
