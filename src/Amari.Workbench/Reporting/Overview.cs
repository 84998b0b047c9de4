using Amari.Training;

namespace Amari.Reporting;

/// <summary>The verdicts on several workloads in a few sentences: who wins where, and who is first but does not end best.</summary>
internal static class Overview
{
    /// <param name="comparisons">The results by workload.</param>
    /// <returns>Null for fewer than two workloads, or if there is a verdict on none.</returns>
    public static string? Of(IReadOnlyList<BenchmarkResult> comparisons)
    {
        var verdicts = comparisons
            .Select(c => (c.Workload, c.Target, Winners: Answer.WinnersOf(c), Reservation: Answer.ReservationOf(c)))
            .ToList();
        if (verdicts.Count < 2 || verdicts.TrueForAll(v => v.Winners.Count == 0))
            return null;
        var alone = verdicts.Where(v => v.Winners.Count == 1 && v.Reservation is null).GroupBy(v => v.Winners[0].Optimizer).ToList();
        var firstOnly = verdicts.Where(v => v.Winners.Count == 1 && v.Reservation is not null).ToList();
        var level = verdicts.Where(v => v.Winners.Count > 1).ToList();
        var open = verdicts.Where(v => v.Winners.Count == 0).Select(v => v.Workload).ToList();
        bool differ = alone.Count > 1 || level.Count + firstOnly.Count > 0;
        IEnumerable<string> sentences =
        [
            .. alone.Select(g => $"{g.Key} wins on {Trouble.Join([.. g.Select(v => v.Workload)])}."),
            .. firstOnly.Select(v =>
                $"On {v.Workload}, {v.Winners[0].Optimizer} reaches {v.Target.Metric} {Number.Short(v.Target.Value)} first, "
                + $"but {v.Reservation}."
            ),
            .. level.Select(v =>
                $"On {v.Workload}, {Trouble.Join([.. v.Winners.Select(w => w.Optimizer)])} {Cheapest(v.Winners)}"
                + $"{(v.Reservation is null ? "" : $", but {v.Reservation}")}."
            ),
            .. open.Count > 0 ? [$"There is no verdict on {Trouble.Join(open)}."] : Array.Empty<string>(),
            .. differ && alone.Count + level.Count + firstOnly.Count > 1
                ? ["Which optimizer to use depends on the workload: compare them on your own with --assembly."]
                : Array.Empty<string>(),
        ];
        return $"In short: {string.Join(" ", sentences)}";
    }

    /// <summary>What decides between optimizers of one quality.</summary>
    private static string Cheapest(IReadOnlyList<Summary> level)
    {
        var fastest = level.MinBy(s => s.MillisecondsPerStep)!;
        return $"cannot be told apart; {fastest.Optimizer} has the cheapest steps "
            + $"({Number.Short(fastest.MillisecondsPerStep)} ms, "
            + $"{Number.Short(fastest.Example.StateBytesPerParameter)} bytes of state per parameter)";
    }
}
