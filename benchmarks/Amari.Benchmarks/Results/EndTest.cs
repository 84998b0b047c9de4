using Amari.Reporting;

namespace Amari.Benchmarks.Results;

/// <summary>Who has the lowest held-out loss at the end of the budget: the leader against every other optimizer without trouble.</summary>
internal static class EndTest
{
    /// <summary>The contest; null if no optimizer can lead.</summary>
    public static Contest? Of(IReadOnlyList<Summary> all) =>
        Contest.Of([.. all.Where(s => s.IsStable)], r => r.FinalHeldOutLoss, s => s.IsComplete);
}
