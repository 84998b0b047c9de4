using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>What limits an answer: plateaus, overfitting, a busy machine, an interruption, one seed, settings, schedules and
/// foreknowledge.</summary>
internal static class Cautions
{
    private const int FewExamples = 10; // held out: fewer say little
    private const double Overfitting = 0.1; // of the held-out loss's reduction, lost again

    /// <param name="comparison">The comparison.</param>
    /// <param name="all">Its optimizers.</param>
    /// <param name="winners">Those that the answer prefers.</param>
    /// <param name="time">The verdict on the time to the target.</param>
    public static IEnumerable<string> Of(
        BenchmarkResult comparison,
        IReadOnlyList<Summary> all,
        IReadOnlyList<Summary> winners,
        TimeVerdict time
    )
    {
        foreach (string warning in Trouble.Plateaus(all))
            yield return warning;
        foreach (var winner in winners.Where(Overfits))
            yield return Rise(winner);
        if (comparison.HeldOutExamples is { } few and < FewExamples)
            yield return FormattableString.Invariant($"Only {few} held-out example{(few == 1 ? " judges" : "s judge")} the runs: ")
                + "held-out results may be chance.";
        if (comparison.DataCaution is { } caution)
            yield return caution;
        if (Conditions.Remark(comparison, time) is { } busy)
            yield return busy;
        if (!all.All(s => s.IsComplete))
            yield return "The comparison was interrupted; these are the results so far.";
        if (all.Count == 1)
            yield break;
        if (all.All(s => s.Runs.Count == 1))
            yield return "Only one seed was run, so no test is possible"
                + (all.Count(s => s.IsStable) > 1 ? " and the order may be chance" : "")
                + ": use --seeds 5 for a verdict.";
        yield return Settings(comparison, all);
        foreach (string chosen in ChosenSettings.Of(comparison, all))
            yield return chosen;
        if (Schedules(comparison, all) is { } schedules)
            yield return schedules;
        if (comparison.DefaultsChosenHere && all.Any(s => s.Optimizer.Contains("kfac", StringComparison.OrdinalIgnoreCase)))
            yield return "K-FAC's defaults and ranges were chosen on this workload: its result supports no claim for other workloads.";
    }

    /// <summary>Whether the held-out losses of most seeds rose again by more than a tenth of their reduction.</summary>
    public static bool Overfits(Summary summary) => 2 * Overfit(summary).Count > summary.Runs.Count;

    private static List<TrainingRun> Overfit(Summary summary) =>
        [
            .. summary.Runs.Where(r =>
                r.BestHeldOut is { } best && r.FinalHeldOutLoss - best.Loss > Overfitting * (r.HeldOut[0].Loss - r.FinalHeldOutLoss)
            ),
        ];

    private static string Rise(Summary summary)
    {
        var run = Overfit(summary)[0];
        var point = run.BestHeldOut!.Value;
        return $"{summary.Optimizer} overfits: its held-out loss was {Number.Short(point.Loss)} at step {point.Step} and "
            + FormattableString.Invariant($"{Number.Short(run.FinalHeldOutLoss)} at the end (seed {run.Seed}); a shorter budget may do.");
    }

    private static string Settings(BenchmarkResult comparison, IReadOnlyList<Summary> all) =>
        Sources.SettingsDiffer(comparison)
            ? "The settings are not alike: "
                + string.Join(
                    "; ",
                    all.GroupBy(s => SourceOf(Sources.Of(comparison, s.Optimizer).Result))
                        .Select(g => $"{Trouble.Join([.. g.Select(s => s.Optimizer)])} {g.Key}")
                )
                + "."
            : SettingsOfAll(comparison);

    private static string SourceOf(BenchmarkResult comparison) =>
        comparison.Settings switch
        {
            SettingsSource.Tuned => $"tuned by {TrialsOf(comparison)}",
            SettingsSource.Workload => "with the workload's settings, found with an unknown number of trials",
            _ => "at defaults",
        };

    private static string SettingsOfAll(BenchmarkResult comparison) =>
        comparison.Settings switch
        {
            SettingsSource.Tuned => $"Each optimizer was tuned by {TrialsOf(comparison)} on a validation part of the training data.",
            SettingsSource.Workload => "Each optimizer used the workload's settings, found with an unknown number of trials; "
                + "--tune N gives every optimizer the same number.",
            _ => "Each optimizer ran at its defaults; --tune N gives every optimizer the same number of trials.",
        };

    /// <summary>"8 trials"; "5 to 8 trials" if tuning was stopped.</summary>
    private static string TrialsOf(BenchmarkResult comparison)
    {
        var results = comparison.Sources.Count == 0 ? [comparison] : comparison.Sources.Values.Select(s => s.Result).Distinct();
        int[] counts =
        [
            .. results
                .SelectMany(r => r.Trials.GroupBy(t => t.Optimizer))
                .Select(g => g.DistinctBy(t => string.Join(';', t.Options.OrderBy(o => o.Key)) + t.Schedule).Count()),
        ];
        return counts.Length == 0 ? "no trials"
            : counts.Min() == counts.Max() ? $"{counts[0]} trial{(counts[0] == 1 ? "" : "s")}"
            : $"{counts.Min()} to {counts.Max()} trials";
    }

    /// <summary>Which optimizers ran without the schedule, and why; null if there is nothing to say.</summary>
    private static string? Schedules(BenchmarkResult comparison, IReadOnlyList<Summary> all)
    {
        if (comparison.Schedule is { Shape: ScheduleShape.Constant, Warmup: 0 })
            return "All learning rates were constant; with decay the order may differ.";
        var own = all.Select(s =>
                (
                    s.Optimizer,
                    Why: OptimizerCatalog.All.FirstOrDefault(o => o.Name == Sources.Of(comparison, s.Optimizer).Optimizer)?.OwnSchedule
                )
            )
            .Where(s => s.Why is not null)
            .GroupBy(s => s.Why, s => s.Optimizer)
            .Select(g => g.ToList() is [var one] ? $"{one} {g.Key}" : $"{Trouble.Join([.. g])} each {g.Key}")
            .ToList();
        return own.Count == 0 ? null : $"Without the learning-rate schedule of the others: {string.Join("; ", own)}.";
    }
}
