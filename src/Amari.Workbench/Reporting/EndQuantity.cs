using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The quantity by which the ends of runs are judged: the target's, on held-out examples if there are any.</summary>
/// <param name="Name">For sentences.</param>
/// <param name="HigherIsBetter">Whether a higher value is better.</param>
/// <param name="Of">Its value at the end of a run.</param>
/// <param name="Scale">Where it is compared.</param>
internal sealed record EndQuantity(string Name, bool HigherIsBetter, Func<TrainingRun, double> Of, CostScale Scale)
{
    private const double OfCount = 0.01; // how near to a whole number of examples a share of them is

    /// <summary>Whether it is a metric, and not a loss.</summary>
    private bool IsMetric { get; init; }

    /// <summary>Whether it is a share, 1 at best, such as an accuracy: then what is missing of 1 is compared.</summary>
    private bool IsShare { get; init; }

    /// <summary>The number of held-out examples, if they are known; 0 if the metric is no number of them.</summary>
    private long? Examples { get; init; }

    /// <summary>The quantity of a comparison. If the target is the training loss but there are held-out examples, it is their
    /// loss.</summary>
    /// <param name="comparison">The comparison.</param>
    /// <param name="contenders">The optimizers that are compared.</param>
    public static EndQuantity In(BenchmarkResult comparison, IReadOnlyList<Summary> contenders)
    {
        (string name, bool higher, Func<TrainingRun, double> of) = comparison.Target.Metric switch
        {
            Target.Loss when !comparison.Runs.Any(r => r.HasHeldOutLoss) => (Target.Loss, false, r => r.FinalLoss),
            Target.Loss or Target.HeldOutLoss => (Target.HeldOutLoss, false, r => r.FinalHeldOutLoss),
            var metric => (metric, comparison.HigherIsBetter, (Func<TrainingRun, double>)(r => r.FinalMetric)),
        };
        double[] values = [.. contenders.SelectMany(s => Complete(s)).Select(of).Where(double.IsFinite)];
        bool isMetric = name is not (Target.Loss or Target.HeldOutLoss);
        return new(name, higher, of, new(higher ? [] : values))
        {
            IsMetric = isMetric,
            IsShare = higher && values.Length > 0 && values.Max() is > 0 and <= 1,
            Examples =
                comparison.HeldOutExamples is { } n && !Array.TrueForAll(values, v => IsCount(v * n)) ? 0 : comparison.HeldOutExamples,
        };

        static bool IsCount(double value) => Math.Abs(value - Math.Round(value)) <= OfCount;
    }

    /// <summary>Its value at the end on the <see cref="Scale"/>, lower is better; null for a run that was stopped.</summary>
    public MeasuredCost? Cost(TrainingRun run)
    {
        if (run.Status == RunStatus.Interrupted)
            return null;
        var measured = HigherIsBetter ? new(-Of(run), Scale.Measured(Of(run)).Resolution) : Scale.Measured(Of(run));
        return !IsMetric || Examples == 0
            ? measured
            : measured with
            {
                Resolution = Scale.IsLogarithmic ? (Step is { } of ? of / Of(run) : null) : Step,
            };
    }

    /// <summary>What one held-out example changes, if the quantity counts them and their number is known.</summary>
    public double? Step => IsMetric && Examples is > 0 and var n ? 1.0 / n : null;

    /// <summary>Whether the second of two mean costs is worse by <see cref="Contest.LargeFactor"/>.</summary>
    public bool IsFar(double leader, double rival) =>
        IsShare ? 1 + rival > Contest.LargeFactor * (1 + leader) && rival - leader > (Step ?? 0)
        : HigherIsBetter ? -leader > 0 && -leader > Contest.LargeFactor * -rival
        : Scale.IsFar(leader, rival);

    /// <summary>"ended more than twice as high as adamw", for an optimizer that <see cref="IsFar"/>.</summary>
    public string Far(string leader) =>
        IsShare
            ? (Name == Metric.Accuracy.Name ? "made more than twice as many errors as " : "ended more than twice as far from 1 as ")
                + leader
        : HigherIsBetter ? $"ended less than half as high as {leader}"
        : $"ended more than twice as high as {leader}";

    /// <summary>Whether it is known of every complete run.</summary>
    public bool IsKnown(Summary summary) => Complete(summary).All(r => double.IsFinite(Of(r)));

    /// <summary>Its median over the complete runs in which it is known, formatted.</summary>
    public string Median(Summary summary) => Number.Short(Summary.Median([.. Known(summary)], Of), 4);

    /// <summary>Its mean over the complete runs in which it is known, formatted; the geometric one on a logarithmic scale.</summary>
    public string Mean(Summary summary) =>
        Number.Short(HigherIsBetter ? Known(summary).Average(Of) : Scale.Back(Known(summary).Average(r => Scale.Of(Of(r)))), 4);

    /// <summary>"lowest" or "highest".</summary>
    public string Best => HigherIsBetter ? "highest" : "lowest";

    /// <summary>"higher" or "lower" for what is worse.</summary>
    public string Worse => HigherIsBetter ? "lower" : "higher";

    /// <summary>"higher" or "lower" for what is better.</summary>
    public string Better => HigherIsBetter ? "higher" : "lower";

    private IEnumerable<TrainingRun> Known(Summary summary) => Complete(summary).Where(r => double.IsFinite(Of(r)));

    private static IEnumerable<TrainingRun> Complete(Summary summary) => summary.Runs.Where(r => r.Status != RunStatus.Interrupted);
}
