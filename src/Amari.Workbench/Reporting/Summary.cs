using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>One optimizer over its seeds: medians, with the range if seeds differ.</summary>
internal sealed record Summary(string Optimizer, IReadOnlyList<TrainingRun> Runs)
{
    public static IReadOnlyList<Summary> Of(BenchmarkResult comparison) =>
        [
            .. comparison
                .Runs.GroupBy(r => r.Optimizer)
                .Select(g => new Summary(g.Key, [.. g])
                {
                    HasHeldOut = HeldOutIn(comparison),
                    Judged = MetricIsJudged(comparison) ? comparison.HigherIsBetter : null,
                }),
        ];

    /// <summary>Whether the comparison has held-out losses.</summary>
    private bool HasHeldOut { get; init; } = Runs.Any(r => r.HasHeldOutLoss);

    /// <summary>Whether higher values of the metric are better, if the target is one of the metric; otherwise null.</summary>
    private bool? Judged { get; init; }

    /// <summary>The runs that count for the target: all except those that the user stopped before they reached it.</summary>
    public IReadOnlyList<TrainingRun> Eligible { get; } =
    [.. Runs.Where(r => r.Status != RunStatus.Interrupted || r.SecondsToTarget is not null)];

    /// <summary>Number of runs that reached the target.</summary>
    public int Reached => Runs.Count(r => r.SecondsToTarget is not null);

    /// <summary>Whether every run that counts reached the target.</summary>
    public bool ReachedByAll => Reached > 0 && Reached == Eligible.Count;

    /// <summary>Whether a smaller share of the runs that count reached the target.</summary>
    public bool ReachedLessOftenThan(Summary other) => Reached * other.Eligible.Count < other.Reached * Eligible.Count;

    /// <summary>Whether no run was stopped: only then are final losses comparable.</summary>
    public bool IsComplete => Runs.All(r => r.Status != RunStatus.Interrupted);

    /// <summary>Whether a run still trains, in a live view.</summary>
    private bool IsTraining => Runs.Any(r => r.IsRunning);

    /// <summary>Whether no run came apart, diverged or failed. Otherwise the optimizer is not recommended.</summary>
    public bool IsStable => !Runs.Any(Trouble.IsIn);

    /// <summary>Medians over the runs that count. A run that missed the target counts as infinite; null if the median is.</summary>
    public double? SecondsToTarget => Finite(Median(Eligible, r => r.SecondsToTarget ?? double.PositiveInfinity));
    public double? StepsToTarget => Finite(Median(Eligible, r => r.StepsToTarget ?? double.PositiveInfinity));

    /// <summary>The run for settings, coverage and state: the first that has them.</summary>
    public TrainingRun Example => Runs.FirstOrDefault(r => r.Parameters > 0) ?? Runs[0];

    public double MillisecondsPerStep => Median(Runs, r => r.MillisecondsPerStep);

    /// <summary>How many of the runs that count reached the target, in words.</summary>
    public string Share => $"{Reached} of {Eligible.Count} seeds";

    /// <summary>The cells of the result table after the optimizer's name. The first line is the median over seeds; the others are the
    /// range, the best value during the runs, and remarks.</summary>
    public IReadOnlyList<string> Cells() =>
        [
            SecondsToTarget is { } s ? Number.Short(s) + " s" + Range(r => r.SecondsToTarget) + (ReachedByAll ? "" : "\n" + Share)
            : Reached > 0 ? Share
            : Eligible.Count > 0 ? "not reached"
            : IsTraining ? "training"
            : "stopped",
            StepsToTarget is { } n ? FormattableString.Invariant($"{n:F0}") + Range(r => r.StepsToTarget, 6) : "-",
            .. HasHeldOut
                ? (string[])
                    [Judging(r => r.FinalHeldOutLoss, r => r.BestHeldOut?.Loss), MetricCell(), Plain(r => r.FinalLoss, range: false)]
                : [Judging(r => r.FinalLoss, r => r.Best?.Loss), MetricCell()],
            TimesCell(),
            Example.Parameters > 0 ? $"{Number.Bytes(Example.StateBytes)}\n{Number.Short(Example.StateBytesPerParameter)} B" : "-",
        ];

    /// <summary>The headings of <see cref="Cells"/>.</summary>
    public static IReadOnlyList<string> Heads(BenchmarkResult c) =>
        [
            $"time to {c.Target.Metric} {Number.Short(c.Target.Value)}",
            "steps",
            .. HeldOutIn(c)
                ? (string[])["held-out loss, best", $"{c.Metric}, {(MetricIsJudged(c) ? "best" : "at best loss")}", "training loss"]
                : ["final loss, best", $"final {c.Metric}{(MetricIsJudged(c) ? ", best" : "")}"],
            "ms/step, quartiles, CPU",
            "state,\n/param",
        ];

    /// <summary>The median of a quantity; NaN without runs.</summary>
    public static double Median(IReadOnlyList<TrainingRun> runs, Func<TrainingRun, double> value)
    {
        if (runs.Count == 0)
            return double.NaN;
        var sorted = runs.Select(value).Order().ToList();
        double high = sorted[sorted.Count / 2];
        return sorted.Count % 2 == 1 || double.IsInfinity(high) ? high : (sorted[sorted.Count / 2 - 1] + high) / 2;
    }

    /// <summary>The final value of the loss that judges the runs, its range, the median of the best ones, and what went wrong.</summary>
    private string Judging(Func<TrainingRun, double> final, Func<TrainingRun, double?> best)
    {
        string trouble = Trouble.Count(this).Replace(": ", "\n", StringComparison.Ordinal),
            stopped = IsComplete ? ""
            : IsTraining ? "\nso far"
            : "\nstopped early";
        double median = Median(
            Runs,
            r => r.Status is RunStatus.Diverged or RunStatus.Failed || double.IsNaN(final(r)) ? double.PositiveInfinity : final(r)
        );
        return double.IsFinite(median) ? Number.Short(median) + Range(r => final(r)) + Best(best) + trouble + stopped
            : trouble.Length > 0 ? trouble[1..] + stopped
            : "not finite" + stopped;
    }

    /// <summary>The final metric, its range, and the median of its best values, or of those where the held-out loss is lowest.</summary>
    private string MetricCell() => Plain(r => r.FinalMetric, 4) + (Runs.Any(r => r.HeldOut.Count > 0) ? Best(BestMetric, 4) : "");

    private double? BestMetric(TrainingRun run) =>
        Judged is not { } higherIsBetter ? run.BestHeldOut?.Metric
        : run.HeldOut.Select(p => p.Metric).Where(double.IsFinite).ToList() is not { Count: > 0 } metrics ? null
        : higherIsBetter ? metrics.Max()
        : metrics.Min();

    private string TimesCell()
    {
        var times = Runs.Select(r => r.StepTimes).Where(t => double.IsFinite(t.Low)).ToList();
        string quartiles = times.Count == 0 ? "" : $"\n{Number.Short(times.Min(t => t.Low), 2)}..{Number.Short(times.Max(t => t.High), 2)}";
        double cpu = Median(Runs, r => r.CpuSeconds);
        return Formatted(MillisecondsPerStep) + quartiles + (cpu > 0 ? $"\nCPU {Number.Short(cpu)} s" : "");
    }

    private string Plain(Func<TrainingRun, double> value, int digits = 3, bool range = true) =>
        Runs.Where(r => double.IsFinite(value(r))).ToList() is { Count: > 0 } known
            ? Number.Short(Median(known, value), digits)
                + (range ? Range(r => value(r)) : "")
                + (known.Count == Runs.Count ? "" : FormattableString.Invariant($"\n{known.Count} of {Runs.Count} seeds"))
            : "-";

    private string Best(Func<TrainingRun, double?> best, int digits = 3) =>
        Runs.All(r => best(r) is { } b && double.IsFinite(b)) ? $"\nbest {Number.Short(Median(Runs, r => best(r)!.Value), digits)}" : "";

    private string Range(Func<TrainingRun, double?> value, int digits = 3)
    {
        var all = Runs.Select(value).OfType<double>().Where(double.IsFinite).ToList();
        if (all.Count == 0)
            return "";
        string min = Number.Short(all.Min(), digits),
            max = Number.Short(all.Max(), digits);
        return min == max ? "" : $"\n{min}..{max}";
    }

    private static bool HeldOutIn(BenchmarkResult comparison) => comparison.Runs.Any(r => r.HasHeldOutLoss);

    private static bool MetricIsJudged(BenchmarkResult c) => c.Target.Metric is not (Target.Loss or Target.HeldOutLoss);

    private static string Formatted(double value, int digits = 3) => double.IsNaN(value) ? "-" : Number.Short(value, digits);

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
