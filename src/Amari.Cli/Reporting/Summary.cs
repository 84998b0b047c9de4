using System.Globalization;
using Amari.Training;

namespace Amari.Cli.Reporting;

/// <summary>One optimizer over its seeds: medians, with the range where seeds differ.</summary>
internal sealed record Summary(string Optimizer, IReadOnlyList<Run> Runs)
{
    public static IReadOnlyList<Summary> Of(Comparison comparison) =>
        [.. comparison.Runs.GroupBy(r => r.Optimizer).Select(g => new Summary(g.Key, [.. g]))];

    /// <summary>Runs that met the target.</summary>
    public int Reached => Runs.Count(r => r.SecondsToTarget is not null);

    /// <summary>Medians over all runs, where a run that missed the target counts as infinitely long; null when the median one did.</summary>
    public double? SecondsToTarget => Finite(Median(r => r.SecondsToTarget ?? double.PositiveInfinity));
    public double? StepsToTarget => Finite(Median(r => r.StepsToTarget ?? double.PositiveInfinity));
    public double FinalLoss => Median(r => double.IsNaN(r.FinalLoss) ? double.PositiveInfinity : r.FinalLoss);
    public double FinalMetric => Median(r => r.FinalMetric);
    public double MillisecondsPerStep => Median(r => r.MillisecondsPerStep);
    public long StateBytes => Runs[0].StateBytes;

    /// <summary>The cells of the result table, after the optimizer's name; the range over seeds is a second line.</summary>
    public IReadOnlyList<string> Cells() =>
    [
        SecondsToTarget is { } s ? Text($"{s:G3} s") + Spread(r => r.SecondsToTarget) : Reached == 0 ? "not reached" : $"{Reached} of {Runs.Count} runs",
        StepsToTarget is { } n ? Text($"{n:F0}") : "-",
        double.IsFinite(FinalLoss) ? Text($"{FinalLoss:G4}") + Spread(r => r.FinalLoss) : "diverged",
        Text($"{FinalMetric:G4}"),
        Text($"{MillisecondsPerStep:G3}"),
        Bytes(StateBytes),
    ];

    /// <summary>The heads of <see cref="Cells"/>.</summary>
    public static IReadOnlyList<string> Heads(Comparison c) =>
        [Text($"time to {c.Target.Metric} {c.Target.Value:G3}"), "steps", "final loss", "final " + c.Metric, "ms/step", "state"];

    public static string Bytes(long bytes) =>
        bytes < 10_000 ? Text($"{bytes} B") : bytes < 10_000_000 ? Text($"{bytes / 1e3:F0} kB") : Text($"{bytes / 1e6:F0} MB");

    private string Spread(Func<Run, double?> value)
    {
        var all = Runs.Select(value).OfType<double>().Where(double.IsFinite).ToList();
        return all.Count > 1 ? Text($"\n{all.Min():G2}..{all.Max():G2}") : "";
    }

    private double Median(Func<Run, double> value)
    {
        var sorted = Runs.Select(value).Order().ToList();
        double high = sorted[sorted.Count / 2];
        return sorted.Count % 2 == 1 || double.IsInfinity(high) ? high : (sorted[sorted.Count / 2 - 1] + high) / 2;
    }

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
