using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>One optimizer over its seeds: medians, with the range if seeds differ.</summary>
internal sealed record Summary(string Optimizer, IReadOnlyList<TrainingRun> Runs)
{
    public static IReadOnlyList<Summary> Of(BenchmarkResult comparison) =>
        [.. comparison.Runs.GroupBy(r => r.Optimizer).Select(g => new Summary(g.Key, [.. g]))];

    /// <summary>The runs that count for the target: all except those that the user stopped before they reached it.</summary>
    public IReadOnlyList<TrainingRun> Eligible { get; } =
    [.. Runs.Where(r => r.Status != RunStatus.Interrupted || r.SecondsToTarget is not null)];

    /// <summary>Number of runs that reached the target.</summary>
    public int Reached => Runs.Count(r => r.SecondsToTarget is not null);

    /// <summary>Whether every run that counts reached the target.</summary>
    public bool ReachedByAll => Reached > 0 && Reached == Eligible.Count;

    /// <summary>Whether no run was stopped: only then are final losses comparable.</summary>
    public bool IsComplete => Runs.All(r => r.Status != RunStatus.Interrupted);

    /// <summary>Whether no run came apart, diverged or failed. Otherwise the optimizer is not recommended.</summary>
    public bool IsStable => !Runs.Any(Trouble.IsIn);

    /// <summary>Medians over the runs that count. A run that missed the target counts as infinite; null if the median is.</summary>
    public double? SecondsToTarget => Finite(Median(Eligible, r => r.SecondsToTarget ?? double.PositiveInfinity));
    public double? StepsToTarget => Finite(Median(Eligible, r => r.StepsToTarget ?? double.PositiveInfinity));

    /// <summary>The run for settings, coverage and state: the first that has them.</summary>
    public TrainingRun Example => Runs.FirstOrDefault(r => r.Parameters > 0) ?? Runs[0];

    /// <summary>Median over all runs. A run that diverged or failed counts as an infinite loss.</summary>
    public double FinalLoss =>
        Median(
            Runs,
            r => r.Status is RunStatus.Diverged or RunStatus.Failed || double.IsNaN(r.FinalLoss) ? double.PositiveInfinity : r.FinalLoss
        );
    public double FinalMetric => Median(Runs, r => r.FinalMetric);
    public double MillisecondsPerStep => Median(Runs, r => r.MillisecondsPerStep);
    public long StateBytes => Example.StateBytes;
    public double StateBytesPerParameter => Example.StateBytesPerParameter;

    /// <summary>The cells of the result table after the optimizer's name. A range or a remark is on a second line.</summary>
    public IReadOnlyList<string> Cells() =>
        [
            SecondsToTarget is { } s ? Number.Short(s) + " s" + Range(r => r.SecondsToTarget) + (ReachedByAll ? "" : "\n" + Share)
            : Reached > 0 ? Share
            : Eligible.Count > 0 ? "not reached"
            : "stopped",
            StepsToTarget is { } n ? Number.Short(n, 6) + Range(r => r.StepsToTarget) : "-",
            FinalCell(),
            Formatted(FinalMetric, 4),
            Formatted(MillisecondsPerStep),
            Example.Parameters > 0 ? $"{Number.Bytes(StateBytes)}\n{Number.Short(StateBytesPerParameter)} B" : "-",
        ];

    private string FinalCell()
    {
        string trouble = Trouble.Count(this).Replace(": ", "\n", StringComparison.Ordinal),
            stopped = IsComplete ? "" : "\nstopped early";
        if (double.IsFinite(FinalLoss))
            return Number.Short(FinalLoss) + Range(r => r.FinalLoss) + trouble + stopped;
        return trouble.Length > 0 ? trouble[1..] + stopped : "not finite" + stopped;
    }

    private static string Formatted(double value, int digits = 3) => double.IsNaN(value) ? "-" : Number.Short(value, digits);

    /// <summary>The headings of <see cref="Cells"/>.</summary>
    public static IReadOnlyList<string> Heads(BenchmarkResult c) =>
        [
            $"time to {c.Target.Metric} {Number.Short(c.Target.Value)}",
            "steps",
            "final loss",
            "final " + c.Metric,
            "ms/step",
            "state,\n/param",
        ];

    /// <summary>How many of the runs that count reached the target, in words.</summary>
    public string Share => $"{Reached} of {Eligible.Count} seeds";

    private string Range(Func<TrainingRun, double?> value)
    {
        var all = Runs.Select(value).OfType<double>().Where(double.IsFinite).ToList();
        if (all.Count == 0)
            return "";
        string min = Number.Short(all.Min()),
            max = Number.Short(all.Max());
        return min == max ? "" : $"\n{min}..{max}";
    }

    private static double Median(IReadOnlyList<TrainingRun> runs, Func<TrainingRun, double> value)
    {
        if (runs.Count == 0)
            return double.NaN;
        var sorted = runs.Select(value).Order().ToList();
        double high = sorted[sorted.Count / 2];
        return sorted.Count % 2 == 1 || double.IsInfinity(high) ? high : (sorted[sorted.Count / 2 - 1] + high) / 2;
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;
}
