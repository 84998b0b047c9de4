using System.Globalization;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>Answers "which optimizer should I use, and why" in words, from the numbers of a comparison.</summary>
internal static class Answer
{
    private const double Tie = 1.1; // smaller ratios are within the noise of the clock

    public static string Of(BenchmarkResult comparison)
    {
        var all = Summary.Of(comparison);
        if (all.Count == 0)
            return comparison.Trials.Count == 0
                ? "No run finished."
                : $"Stopped after {comparison.Trials.Count} tuning trials, before the first run.";
        // An optimizer that had trouble with a seed is not recommended, even if it is fast. With several optimizers it is left out.
        var stable = all.Count == 1 ? all : [.. all.Where(s => s.IsStable)];
        // Optimizers that reached the target with every seed come before those that did so with most seeds.
        var timed = stable.Where(s => s.SecondsToTarget is not null).OrderBy(s => !s.ReachedByAll).ThenBy(s => s.SecondsToTarget).ToList();
        var verdict =
            stable.Count == 0 ? ["No recommendation can be made: every optimizer came apart, diverged or failed."]
            : timed.Count > 0 ? Reached(comparison, all, stable, timed)
            : NotReached(comparison, all, stable);
        return string.Join(" ", [.. verdict, .. Troubles(all, stable.Count > 0), .. Cautions(comparison, all, timed)]);
    }

    private static IEnumerable<string> Reached(
        BenchmarkResult comparison,
        IReadOnlyList<Summary> all,
        IReadOnlyList<Summary> stable,
        List<Summary> timed
    )
    {
        var first = timed[0];
        yield return all.Count == 1
            ? $"{first.Optimizer} reached {Target(comparison)} in "
                + $"{Cost(first)}{(first.ReachedByAll ? "" : ", but only with " + first.Share)}."
        : first.ReachedByAll ? $"Use {first.Optimizer}: it reached {Target(comparison)} first, in {Cost(first)}."
        : $"No optimizer reached {Target(comparison)} with every seed{(all.Any(s => s.ReachedByAll) ? " and kept its progress" : "")}; "
            + $"{first.Optimizer} did best, with {first.Share}, in {Cost(first)}.";
        if (timed.FirstOrDefault(s => s != first && s.ReachedByAll == first.ReachedByAll) is { } second)
        {
            double ratio = second.SecondsToTarget!.Value / first.SecondsToTarget!.Value;
            yield return ratio < Tie
                ? $"{second.Optimizer} was equally fast within the noise ({Number.Short(second.SecondsToTarget.Value)} s); decide by other "
                    + "criteria."
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{second.Optimizer} took {ratio:F1} times as long ({Number.Short(second.SecondsToTarget.Value)} s, "
                        + $"{second.StepsToTarget:F0} steps)."
                );
        }
        foreach (var s in all.Where(s => s.Reached > 0 && !s.ReachedByAll && s != first))
            yield return s.SecondsToTarget < first.SecondsToTarget
                ? $"{s.Optimizer} was faster ({Number.Short(s.SecondsToTarget!.Value)} s), but reached it with only {s.Share}."
                : $"{s.Optimizer} reached it with only {s.Share}.";
        if (timed.Where(s => s.ReachedByAll).MinBy(s => s.StepsToTarget) is { } fewest && fewest.StepsToTarget < first.StepsToTarget)
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"{fewest.Optimizer} needed the fewest steps ({fewest.StepsToTarget:F0}), but each takes "
                    + $"{fewest.MillisecondsPerStep / first.MillisecondsPerStep:F1} times as long here."
            );
        var missed = stable.Where(s => s.Reached == 0 && s.Eligible.Count > 0).Select(s => s.Optimizer).ToList();
        if (missed.Count > 0)
            yield return $"{string.Join(", ", missed)} did not reach it within {comparison.Budget}.";
        if (first.IsComplete && Lowest(stable) is [var lowest, ..] && lowest != first && Clearly(lowest, first))
            yield return $"With the whole budget {lowest.Optimizer} reached the lowest final loss, {Number.Short(lowest.FinalLoss, 4)}.";
    }

    private static IEnumerable<string> NotReached(BenchmarkResult comparison, IReadOnlyList<Summary> all, IReadOnlyList<Summary> stable)
    {
        if (all.All(s => s.Eligible.Count == 0))
        {
            yield return $"Stopped before {(all.Count == 1 ? all[0].Optimizer : "any optimizer")} reached {Target(comparison)}.";
            yield break;
        }
        if (all is [{ IsStable: false }])
            yield break; // its trouble says enough
        var some = all.Where(s => s.Reached > 0).Select(s => $"{s.Optimizer} did with {s.Share}").ToList();
        string how =
            all.Any(s => s.SecondsToTarget is not null) ? "and kept its progress "
            : some.Count > 0 ? "with most seeds "
            : "";
        string verdict =
            (all.Count == 1 ? all[0].Optimizer + " did not reach" : "No optimizer reached")
            + $" {Target(comparison)} {how}within {comparison.Budget}"
            + (some.Count > 0 ? $" ({string.Join(", ", some)})" : "");
        var lowest = Lowest(stable);
        yield return lowest.Count == 0 ? verdict + "."
        : all.Count == 1 ? $"{verdict}; it ended at loss {Number.Short(lowest[0].FinalLoss, 4)}."
        : $"{verdict}; {lowest[0].Optimizer} came closest, at loss {Number.Short(lowest[0].FinalLoss, 4)}.";
        if (lowest.Count > 1 && !Clearly(lowest[0], lowest[1]))
            yield return $"{lowest[1].Optimizer} ended equally close within the noise ({Number.Short(lowest[1].FinalLoss, 4)}).";
    }

    /// <summary>The trouble of every optimizer that had any with some seed.</summary>
    private static IEnumerable<string> Troubles(IReadOnlyList<Summary> all, bool recommends)
    {
        foreach (var s in all.Where(s => !s.IsStable))
            yield return $"{Trouble.Of(s)}{(recommends ? ": not recommended" : "")}.";
        if (all.SelectMany(s => s.Runs).Any(r => r.CameApart || r.Status == RunStatus.Diverged))
            yield return "A smaller learning rate or more damping may help.";
    }

    private static IEnumerable<string> Cautions(BenchmarkResult comparison, IReadOnlyList<Summary> all, List<Summary> timed)
    {
        foreach (string warning in Trouble.Plateaus(all))
            yield return warning;
        if (timed.Count > 1 && timed[0].Eligible.Max(r => r.SecondsToTarget) > timed[1].Eligible.Min(r => r.SecondsToTarget))
            yield return "The times of the seeds overlap: run more seeds before relying on the order.";
        if (!all.All(s => s.IsComplete))
            yield return "The comparison was interrupted; these are the results so far.";
        if (comparison.Trials.Count == 0 && all.Count > 1)
            yield return "Each optimizer used the workload's settings; --tune N gives every optimizer the same number of trials.";
        if (all.Count > 1 && all.All(s => s.Runs.Count == 1))
            yield return "Only one seed was run.";
    }

    /// <summary>Optimizers with complete runs and a finite median loss, the lowest final loss first.</summary>
    private static List<Summary> Lowest(IReadOnlyList<Summary> all) =>
        [.. all.Where(s => s.IsComplete && double.IsFinite(s.FinalLoss)).OrderBy(s => s.FinalLoss)];

    /// <summary>Whether the lower loss is lower by more than the noise.</summary>
    private static bool Clearly(Summary lower, Summary upper) => upper.FinalLoss - lower.FinalLoss > (Tie - 1) * Math.Abs(lower.FinalLoss);

    private static string Target(BenchmarkResult comparison) => $"{comparison.Target.Metric} {Number.Short(comparison.Target.Value)}";

    private static string Cost(Summary s) =>
        FormattableString.Invariant($"{Number.Short(s.SecondsToTarget!.Value)} s ({s.StepsToTarget:F0} steps)");
}
