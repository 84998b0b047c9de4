using Amari.Optimizers;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>What tuning chose for each optimizer, and whether a choice is at the edge of its range.</summary>
internal static class ChosenSettings
{
    private const double Edge = 0.05; // of the range, on its scale

    /// <param name="comparison">The comparison.</param>
    /// <param name="all">Its optimizers; those that were not tuned are left out.</param>
    public static IEnumerable<string> Of(BenchmarkResult comparison, IReadOnlyList<Summary> all)
    {
        List<string> chosen = [],
            edges = [];
        foreach (var summary in all)
        {
            var (result, name) = Sources.Of(comparison, summary.Optimizer);
            if (result.Settings != SettingsSource.Tuned || OptimizerCatalog.All.FirstOrDefault(o => o.Name == name) is not { } entry)
                continue;
            var options = summary.Example.Options;
            var space = entry.SearchSpaceOf(options).Where(d => options.ContainsKey(d.Option)).ToList();
            var defaults = Settings.Describe(Settings.Apply(entry.OptionsType, entry.Preset ?? []));
            List<string> changed =
            [
                .. space
                    .Where(d => defaults.GetValueOrDefault(d.Option) != options[d.Option])
                    .Select(d => $"{d.Option} {options[d.Option]}"),
                .. entry.OwnSchedule is null && result.Schedule is null ? (string[])[$"schedule {summary.Example.Schedule}"] : [],
            ];
            chosen.Add($"{summary.Optimizer} {(changed.Count == 0 ? "its defaults" : string.Join(", ", changed))}");
            foreach (var range in space.OfType<SearchRange>())
                if (range.PositionOf(options[range.Option]) is < Edge or > 1 - Edge)
                    edges.Add(
                        FormattableString.Invariant(
                            $"{range.Option} {options[range.Option]} of {summary.Optimizer} ({range.Low} to {range.High})"
                        )
                    );
        }
        if (chosen.Count > 0)
            yield return $"Tuning chose: {string.Join("; ", chosen)}.";
        if (edges.Count > 0)
            yield return $"At the edge of {(edges.Count == 1 ? "its range" : "their ranges")}, so that better values may lie outside: "
                + $"{string.Join(", ", edges)}.";
    }
}
