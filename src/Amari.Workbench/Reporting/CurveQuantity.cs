using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>A quantity that the figures of a comparison show against seconds or steps.</summary>
/// <param name="Name">The name on axes and buttons: <see cref="TrainingLoss"/>, <see cref="HeldOutLoss"/>, <c>held-out</c> and the
/// workload's metric (which alone where it is a metric of the model and no examples are held out), or <see cref="LearningRate"/>.</param>
/// <param name="Points">Its values at the evaluations of a run.</param>
internal sealed record CurveQuantity(string Name, Func<TrainingRun, IEnumerable<CurvePoint>> Points)
{
    public const string TrainingLoss = "training loss",
        HeldOutLoss = Workloads.Target.HeldOutLoss,
        LearningRate = "learning rate";

    /// <summary>The target's value if the runs are judged by this quantity; otherwise null.</summary>
    public double? Target { get; private init; }

    /// <summary>Whether a higher value is better.</summary>
    public bool HigherIsBetter { get; private init; }

    /// <summary>Whether it is the learning rate, which a run sets and does not reach.</summary>
    public bool IsRate => Name == LearningRate;

    /// <summary>The value that a run has after its last evaluation if it diverged or failed, the worst there is; null for the learning
    /// rate.</summary>
    public double? Worst =>
        IsRate ? null
        : HigherIsBetter ? double.NegativeInfinity
        : double.PositiveInfinity;

    /// <summary>The quantities that the runs have, at least the training loss: first the one that the target judges, last the learning
    /// rate.</summary>
    public static IReadOnlyList<CurveQuantity> Of(BenchmarkResult comparison)
    {
        CurveQuantity[] all =
        [
            new(TrainingLoss, r => r.Losses.Select(p => new CurvePoint(p.Step, p.Seconds, p.Loss)))
            {
                Target = TargetOf(comparison, Workloads.Target.Loss),
            },
            new(HeldOutLoss, r => r.HeldOut.Select(p => new CurvePoint(p.Step, p.Seconds, p.Loss)))
            {
                Target = TargetOf(comparison, Workloads.Target.HeldOutLoss),
            },
            MetricOf(comparison),
            new(LearningRate, r => r.Rates.Select(p => new CurvePoint(p.Step, p.Seconds, p.Rate))),
        ];
        return
        [
            .. all.Where(q => q.Name == TrainingLoss || comparison.Runs.Any(r => q.Points(r).Any(p => double.IsFinite(p.Value))))
                .OrderBy(q => q.Target is null),
        ];
    }

    /// <summary>The quantities of the figures: the first of <see cref="Of"/>, and with held-out examples the training loss next to it, or
    /// the held-out loss if the training loss is the first.</summary>
    public static IReadOnlyList<CurveQuantity> Judged(BenchmarkResult comparison)
    {
        var all = Of(comparison);
        string other = all[0].Name == TrainingLoss ? HeldOutLoss : TrainingLoss;
        return [all[0], .. all.Where(q => q.Name == other)];
    }

    private static CurveQuantity MetricOf(BenchmarkResult comparison)
    {
        var metric = new CurveQuantity(
            comparison.Runs.Any(r => r.HasHeldOutLoss) ? $"held-out {comparison.Metric}" : comparison.Metric,
            r => r.HeldOut.Select(p => new CurvePoint(p.Step, p.Seconds, p.Metric))
        );
        return TargetOf(comparison, comparison.Metric) is { } target
            ? metric with
            {
                Target = target,
                HigherIsBetter = comparison.HigherIsBetter,
            }
            : metric with
            {
                HigherIsBetter = comparison.Runs.Select(r => Sign(metric.Points(r))).Sum() > 0,
            };
    }

    /// <summary>1 if the values rise from the first to the last, -1 if they fall. A result names the direction of the judged quantity only;
    /// that of another metric is the one in which most runs move it.</summary>
    private static int Sign(IEnumerable<CurvePoint> points) =>
        points.Select(p => p.Value).Where(double.IsFinite).ToList() is [var first, .., var last] ? Math.Sign(last - first) : 0;

    private static double? TargetOf(BenchmarkResult comparison, string metric) =>
        comparison.Target.Metric == metric ? comparison.Target.Value : null;
}
