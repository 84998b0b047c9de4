using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>Several results on one workload with one target, as one comparison.</summary>
/// <param name="Comparison">All their runs. An optimizer that several results have is named with the result: <c>adamw (A)</c>.</param>
/// <param name="Results">The results.</param>
/// <param name="Names">The shortest ends of their paths that differ from those of all reported results.</param>
/// <param name="Notes">The differences between the results that a reader must know, one sentence each.</param>
internal sealed record Overlay(
    BenchmarkResult Comparison,
    IReadOnlyList<LoadedResult> Results,
    IReadOnlyList<string> Names,
    IReadOnlyList<string> Notes
)
{
    /// <summary>Whether runs are missing in a result.</summary>
    public bool Partial => Results.Any(r => r.Partial);

    /// <summary>One for each workload with its settings and target, in the order of the results.</summary>
    public static IReadOnlyList<Overlay> Of(IReadOnlyList<LoadedResult> results) =>
        [
            .. results
                .Zip(NamesOf([.. results.Select(r => r.Path)]), (r, name) => (Result: r, Name: name, r.Comparison))
                .GroupBy(r =>
                    (
                        r.Comparison.Workload,
                        SettingsOf(r.Comparison),
                        r.Comparison.Metric,
                        r.Comparison.Target with
                        {
                            Origin = null, // results of earlier versions lack it
                        },
                        r.Comparison.HigherIsBetter
                    )
                )
                .Select(g => Joined([.. g.Select(r => r.Result)], [.. g.Select(r => r.Name)])),
        ];

    private static string SettingsOf(BenchmarkResult comparison) =>
        string.Join(' ', comparison.WorkloadSettings.Select(s => $"{s.Key}={s.Value}").Order(StringComparer.Ordinal));

    private static Overlay Joined(List<LoadedResult> results, List<string> names)
    {
        var shared = results
            .SelectMany(r => r.Comparison.Runs.Select(run => run.Optimizer).Distinct())
            .GroupBy(o => o)
            .Where(g => g.Count() > 1)
            .Select(g => g.Key)
            .ToHashSet();
        var all = results.Select(r => r.Comparison).ToList();
        var sources = results
            .SelectMany(
                (r, i) => r.Comparison.Runs.Select(run => (Name: NameOf(run, i), Source: new ResultSource(r.Comparison, run.Optimizer)))
            )
            .DistinctBy(s => s.Name)
            .ToDictionary(s => s.Name, s => s.Source);
        return new(
            all[0] with
            {
                Runs = [.. results.SelectMany((r, i) => r.Comparison.Runs.Select(run => run with { Optimizer = NameOf(run, i) }))],
                Target = all.Select(c => c.Target).FirstOrDefault(t => t.Origin is not null) ?? all[0].Target,
                Trials = [.. all.SelectMany(c => c.Trials)],
                Settings = Same(all, c => c.Settings) ? all[0].Settings : SettingsSource.Defaults,
                Schedule = Same(all, c => c.Schedule) ? all[0].Schedule : null,
                Provenance = results.Count == 1 ? all[0].Provenance : null,
                DataCaution = all.Select(c => c.DataCaution).FirstOrDefault(c => c is not null),
                Sources = sources,
            },
            results,
            names,
            [.. NotesOf(results, names)]
        );

        string NameOf(TrainingRun run, int result) => shared.Contains(run.Optimizer) ? $"{run.Optimizer} ({names[result]})" : run.Optimizer;
    }

    private static IEnumerable<string> NotesOf(List<LoadedResult> results, List<string> names)
    {
        var partial = names.Where((_, i) => results[i].Partial).ToList();
        if (partial.Count > 0)
            yield return $"{string.Join(", ", partial)}: runs are missing, because the command was stopped.";
        if (Differs(c => $"{c.Budget}") is { } budgets)
            yield return $"The budgets differ ({budgets}): compare the way to the target, not the ends.";
        if (Differs(c => c.Settings.ToString().ToLowerInvariant()) is { } settings)
            yield return $"The settings come from different sources ({settings}).";
        if (Differs(c => c.Schedule?.ToString() ?? "chosen by tuning") is { } schedules)
            yield return $"The schedules differ ({schedules}).";
        if (Differs(StartsOf) is { } starts)
            yield return $"The initial weights differ ({starts}).";
        if (Differs(c => c.Provenance?.First.Machine.Processor ?? "unknown") is { } machines)
            yield return $"The machines differ ({machines}): compare steps, not seconds.";
        if (Differs(c => c.Provenance is { First: var f } ? $"{f.Threads * f.Ranks}" : "unknown") is { } threads)
            yield return $"The numbers of threads differ ({threads}): compare steps, not seconds.";
        if (Differs(c => c.Provenance is { First: var f } ? f.Commit ?? f.Version : "unknown") is { } builds)
            yield return $"The results are of different builds of Amari ({builds}).";

        string? Differs(Func<BenchmarkResult, string> property) =>
            Same(results, r => property(r.Comparison))
                ? null
                : string.Join(", ", names.Zip(results, (n, r) => $"{n}: {property(r.Comparison)}"));
    }

    private static string StartsOf(BenchmarkResult comparison) =>
        string.Join(" and ", comparison.Runs.Select(r => WeightInits.NameOf(r.WeightInit)).Distinct());

    private static bool Same<T, TValue>(IEnumerable<T> all, Func<T, TValue> property) => all.Select(property).Distinct().Count() == 1;

    /// <summary>The shortest ends of paths, in whole names, that are different for different ones; one for each path.</summary>
    internal static IReadOnlyList<string> NamesOf(IReadOnlyList<string> paths)
    {
        int different = paths.Distinct().Count();
        var parts = paths.Select(p => p.Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries)).ToList();
        for (int length = 1; ; length++)
        {
            string[] ends = [.. parts.Select(p => string.Join('/', p.TakeLast(length)))];
            if (ends.Distinct().Count() == different || length > parts.Max(p => p.Length))
                return ends;
        }
    }
}
