using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>One optimizer over its seeds: medians, with the range where seeds differ.</summary>
internal sealed record Summary(string Optimizer, IReadOnlyList<TrainingRun> Runs)
{
    public static IReadOnlyList<Summary> Of(BenchmarkResult comparison) =>
        [.. comparison.Runs.GroupBy(r => r.Optimizer).Select(g => new Summary(g.Key, [.. g]))];

    /// <summary>The runs that had their whole chance at the target: one that the user stopped on its way to it says nothing.</summary>
    public IReadOnlyList<TrainingRun> Judged { get; } =
    [.. Runs.Where(r => r.Status != RunStatus.Interrupted || r.SecondsToTarget is not null)];

    /// <summary>Runs that met the target.</summary>
    public int Reached => Runs.Count(r => r.SecondsToTarget is not null);

    /// <summary>Whether every judged run met the target.</summary>
    public bool Sure => Reached > 0 && Reached == Judged.Count;

    /// <summary>Whether none of the runs was stopped: only then do final losses compare.</summary>
    public bool Whole => Runs.All(r => r.Status != RunStatus.Interrupted);

    /// <summary>Whether every run held: none came apart, diverged or failed. Others are not recommended.</summary>
    public bool Sound => !Runs.Any(Trouble.IsIn);

    /// <summary>Medians over judged runs, where one that missed the target counts as infinitely long; null when the median one
    /// did.</summary>
    public double? SecondsToTarget => Finite(Median(Judged, r => r.SecondsToTarget ?? double.PositiveInfinity));
    public double? StepsToTarget => Finite(Median(Judged, r => r.StepsToTarget ?? double.PositiveInfinity));

    /// <summary>The run to show settings, coverage and state of: the first that came as far as having them.</summary>
    public TrainingRun Example => Runs.FirstOrDefault(r => r.Parameters > 0) ?? Runs[0];

    /// <summary>Medians over all runs; a run that diverged or failed counts as an infinite loss.</summary>
    public double FinalLoss =>
        Median(
            Runs,
            r => r.Status is RunStatus.Diverged or RunStatus.Failed || double.IsNaN(r.FinalLoss) ? double.PositiveInfinity : r.FinalLoss
        );
    public double FinalMetric => Median(Runs, r => r.FinalMetric);
    public double MillisecondsPerStep => Median(Runs, r => r.MillisecondsPerStep);
    public long StateBytes => Example.StateBytes;
    public double StateBytesPerParameter => Example.StateBytesPerParameter;

    /// <summary>The cells of the result table, after the optimizer's name; a range or a remark is on a second line.</summary>
    public IReadOnlyList<string> Cells() =>
        [
            SecondsToTarget is { } s ? Number.Short(s) + " s" + Range(r => r.SecondsToTarget) + (Sure ? "" : "\n" + Share)
            : Reached > 0 ? Share
            : Judged.Count > 0 ? "not reached"
            : "stopped",
            StepsToTarget is { } n ? Number.Short(n, 6) + Range(r => r.StepsToTarget) : "-",
            FinalCell(),
            Shown(FinalMetric, 4),
            Shown(MillisecondsPerStep),
            Example.Parameters > 0 ? $"{Number.Bytes(StateBytes)}\n{Number.Short(StateBytesPerParameter)} B" : "-",
        ];

    private string FinalCell()
    {
        string trouble = Trouble.Count(this).Replace(": ", "\n", StringComparison.Ordinal),
            stopped = Whole ? "" : "\nstopped early";
        if (double.IsFinite(FinalLoss))
            return Number.Short(FinalLoss) + Range(r => r.FinalLoss) + trouble + stopped;
        return trouble.Length > 0 ? trouble[1..] + stopped : "not finite" + stopped;
    }

    private static string Shown(double value, int digits = 3) => double.IsNaN(value) ? "-" : Number.Short(value, digits);

    /// <summary>The heads of <see cref="Cells"/>.</summary>
    public static IReadOnlyList<string> Heads(BenchmarkResult c) =>
        [
            $"time to {c.Target.Metric} {Number.Short(c.Target.Value)}",
            "steps",
            "final loss",
            "final " + c.Metric,
            "ms/step",
            "state,\n/param",
        ];

    /// <summary>How many of the judged runs met the target, in words.</summary>
    public string Share => $"{Reached} of {Judged.Count} seeds";

    private string Range(Func<TrainingRun, double?> value)
    {
        var all = Runs.Select(value).OfType<double>().Where(double.IsFinite).ToList();
        if (all.Count == 0)
            return "";
        string least = Number.Short(all.Min()),
            most = Number.Short(all.Max());
        return least == most ? "" : $"\n{least}..{most}";
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
