using Amari.Training;

namespace Amari.Reporting;

/// <summary>What a comparison that joins several results can claim: only what all of them measured alike.</summary>
internal static class Sources
{
    /// <summary>The result from which the runs of an optimizer come, and its name there.</summary>
    public static ResultSource Of(BenchmarkResult comparison, string optimizer) =>
        comparison.Sources.GetValueOrDefault(optimizer) ?? new(comparison, optimizer);

    /// <summary>Whether the budgets differ.</summary>
    public static bool BudgetsDiffer(BenchmarkResult comparison) => Differ(comparison, r => $"{r.Budget}");

    /// <summary>Whether the settings come from different sources.</summary>
    public static bool SettingsDiffer(BenchmarkResult comparison) => Differ(comparison, r => $"{r.Settings}");

    /// <summary>The budget of a run in words: "10 s", or "10 s (adamw) and 3 epochs (kfac)".</summary>
    public static string Budget(BenchmarkResult comparison, IEnumerable<string> optimizers)
    {
        var groups = optimizers.GroupBy(name => Of(comparison, name).Result.Budget.ToString()).ToList();
        return groups switch
        {
            [] => comparison.Budget.ToString(),
            [var one] => one.Key,
            _ => Trouble.Join([.. groups.Select(g => $"{g.Key} ({string.Join(", ", g)})")]),
        };
    }

    /// <summary>Why seconds are not compared, as the end of a sentence; null if they are.</summary>
    public static string? AgainstTimes(BenchmarkResult comparison) =>
        Differ(comparison, r => r.Provenance?.First.Machine.Processor ?? "") ? "because the machines differ"
        : Differ(comparison, r => r.Provenance is { First: var f } ? f.Threads * f.Ranks : 0) ? "because the numbers of threads differ"
        : null;

    /// <summary>Why the ends of the runs are not compared, as the end of a sentence; null if they are.</summary>
    public static string? AgainstEnds(BenchmarkResult comparison) =>
        BudgetsDiffer(comparison) ? "because the budgets differ"
        : comparison.Budget.Seconds is not null ? AgainstTimes(comparison)
        : null;

    private static bool Differ<T>(BenchmarkResult comparison, Func<BenchmarkResult, T> property) =>
        comparison.Sources.Values.Select(s => property(s.Result)).Distinct().Count() > 1;
}
