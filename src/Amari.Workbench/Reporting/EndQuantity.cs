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
        return new(name, higher, of, new(higher ? [] : contenders.SelectMany(s => Complete(s)).Select(of)));
    }

    /// <summary>Its value at the end, lower is better, on the <see cref="Scale"/>; null for a run that was stopped.</summary>
    public double? Cost(TrainingRun run) =>
        run.Status == RunStatus.Interrupted ? null
        : HigherIsBetter ? -Of(run)
        : Scale.Of(Of(run));

    /// <summary>Whether the second of two mean costs is worse by <see cref="Contest.LargeFactor"/>.</summary>
    public bool IsFar(double leader, double rival) =>
        HigherIsBetter ? -leader > 0 && -leader > Contest.LargeFactor * -rival : Scale.IsFar(leader, rival);

    /// <summary>Its median over the complete runs, formatted.</summary>
    public string Median(Summary summary) => Number.Short(Summary.Median([.. Complete(summary)], Of), 4);

    /// <summary>Its mean over the complete runs, formatted; the geometric one on a logarithmic scale.</summary>
    public string Mean(Summary summary) =>
        Number.Short(HigherIsBetter ? Complete(summary).Average(Of) : Scale.Back(Complete(summary).Average(r => Scale.Of(Of(r)))), 4);

    /// <summary>"lowest" or "highest".</summary>
    public string Best => HigherIsBetter ? "highest" : "lowest";

    /// <summary>"higher" or "lower" for what is worse.</summary>
    public string Worse => HigherIsBetter ? "lower" : "higher";

    private static IEnumerable<TrainingRun> Complete(Summary summary) => summary.Runs.Where(r => r.Status != RunStatus.Interrupted);
}
