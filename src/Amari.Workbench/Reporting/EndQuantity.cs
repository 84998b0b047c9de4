using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The quantity by which the ends of runs are judged: the target's, on held-out examples if there are any.</summary>
/// <param name="Name">For sentences.</param>
/// <param name="HigherIsBetter">Whether a higher value is better.</param>
/// <param name="Of">Its value at the end of a run.</param>
internal sealed record EndQuantity(string Name, bool HigherIsBetter, Func<TrainingRun, double> Of)
{
    /// <summary>The quantity of a comparison. If the target is the training loss but there are held-out examples, it is their
    /// loss.</summary>
    public static EndQuantity In(BenchmarkResult comparison) =>
        comparison.Target.Metric switch
        {
            Target.Loss when !comparison.Runs.Any(r => r.HasHeldOutLoss) => new(Target.Loss, false, r => r.FinalLoss),
            Target.Loss or Target.HeldOutLoss => new(Target.HeldOutLoss, false, r => r.FinalHeldOutLoss),
            var metric => new(metric, comparison.HigherIsBetter, r => r.FinalMetric),
        };

    /// <summary>Its value at the end, lower is better; null for a run that was stopped.</summary>
    public double? Cost(TrainingRun run) =>
        run.Status == RunStatus.Interrupted ? null
        : HigherIsBetter ? -Of(run)
        : Of(run);

    /// <summary>Whether the second of two mean costs is worse by <see cref="Contest.LargeFactor"/>; false where a ratio says nothing, as of
    /// two negative losses.</summary>
    public bool IsFar(double leader, double rival) =>
        HigherIsBetter ? -leader > 0 && -leader > Contest.LargeFactor * -rival : leader >= 0 && rival > Contest.LargeFactor * leader;

    /// <summary>Its median over the complete runs, formatted.</summary>
    public string Median(Summary summary) =>
        Number.Short(Summary.Median([.. summary.Runs.Where(r => r.Status != RunStatus.Interrupted)], Of), 4);

    /// <summary>Its mean over the complete runs, formatted.</summary>
    public string Mean(Summary summary) => Number.Short(summary.Runs.Where(r => r.Status != RunStatus.Interrupted).Average(Of), 4);

    /// <summary>"lowest" or "highest".</summary>
    public string Best => HigherIsBetter ? "highest" : "lowest";

    /// <summary>"higher" or "lower" for what is worse.</summary>
    public string Worse => HigherIsBetter ? "lower" : "higher";
}
