using Amari.Reporting;

namespace Amari.Benchmarks.Results;

/// <summary>Who has the lowest held-out loss at the end of the budget: the leader against every other optimizer without trouble.</summary>
/// <param name="Contest">Null if no optimizer can lead.</param>
/// <param name="Scale">Where the losses are compared.</param>
internal sealed record EndTest(Contest? Contest, CostScale Scale)
{
    /// <summary>The contest of a comparison.</summary>
    public static EndTest Of(IReadOnlyList<Summary> all)
    {
        List<Summary> stable = [.. all.Where(s => s.IsStable)];
        var scale = new CostScale(stable.SelectMany(s => s.Runs).Select(r => r.FinalHeldOutLoss));
        return new(Contest.Of(stable, r => scale.Measured(r.FinalHeldOutLoss), s => s.IsComplete), scale);
    }
}
