using System.Globalization;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>"Which one should I use, and why", in words that the numbers carry.</summary>
internal static class Answer
{
    private const double Tie = 1.1; // closer than this, the clock cannot tell them apart

    public static string Of(BenchmarkResult comparison)
    {
        var all = Summary.Of(comparison);
        if (all.Count == 0)
            return comparison.Trials.Count == 0
                ? "No run was finished."
                : $"Stopped after {comparison.Trials.Count} tuning trials, before the first run.";
        // One that did not hold with every seed is not recommended, however fast; of several optimizers it is left out.
        var sound = all.Count == 1 ? all : [.. all.Where(s => s.Sound)];
        // An optimizer that got there with every seed goes before one that did so with most of them.
        var timed = sound.Where(s => s.SecondsToTarget is not null).OrderBy(s => !s.Sure).ThenBy(s => s.SecondsToTarget).ToList();
        var verdict =
            sound.Count == 0 ? ["No recommendation can be made: every optimizer came apart, diverged or failed."]
            : timed.Count > 0 ? Reached(comparison, all, sound, timed)
            : NotReached(comparison, all, sound);
        return string.Join(" ", [.. verdict, .. Troubles(all, sound.Count > 0), .. Cautions(comparison, all, timed)]);
    }

    private static IEnumerable<string> Reached(
        BenchmarkResult comparison,
        IReadOnlyList<Summary> all,
        IReadOnlyList<Summary> sound,
        List<Summary> timed
    )
    {
        var first = timed[0];
        yield return all.Count == 1
            ? $"{first.Optimizer} reached {Target(comparison)} in {Cost(first)}{(first.Sure ? "" : ", but only with " + first.Share)}."
        : first.Sure ? $"Use {first.Optimizer}: it reached {Target(comparison)} first, in {Cost(first)}."
        : $"No optimizer reached {Target(comparison)} with every seed{(all.Any(s => s.Sure) ? " and kept what it had reached" : "")}; "
            + $"{first.Optimizer} did best, with {first.Share}, in {Cost(first)}.";
        if (timed.FirstOrDefault(s => s != first && s.Sure == first.Sure) is { } second)
        {
            double ratio = second.SecondsToTarget!.Value / first.SecondsToTarget!.Value;
            yield return ratio < Tie
                ? $"{second.Optimizer} was as fast within the noise ({Number.Short(second.SecondsToTarget.Value)} s), so other reasons may "
                    + "decide."
                : string.Create(
                    CultureInfo.InvariantCulture,
                    $"{second.Optimizer} took {ratio:F1} times as long ({Number.Short(second.SecondsToTarget.Value)} s, "
                        + $"{second.StepsToTarget:F0} steps)."
                );
        }
        foreach (var s in all.Where(s => s.Reached > 0 && !s.Sure && s != first))
            yield return s.SecondsToTarget < first.SecondsToTarget
                ? $"{s.Optimizer} was faster where it got there ({Number.Short(s.SecondsToTarget!.Value)} s), but that was with {s.Share}."
                : $"{s.Optimizer} reached it with only {s.Share}.";
        if (timed.Where(s => s.Sure).MinBy(s => s.StepsToTarget) is { } fewest && fewest.StepsToTarget < first.StepsToTarget)
            yield return string.Create(
                CultureInfo.InvariantCulture,
                $"{fewest.Optimizer} needed the fewest steps ({fewest.StepsToTarget:F0}), but each costs "
                    + $"{fewest.MillisecondsPerStep / first.MillisecondsPerStep:F1} times as much here."
            );
        var missed = sound.Where(s => s.Reached == 0 && s.Judged.Count > 0).Select(s => s.Optimizer).ToList();
        if (missed.Count > 0)
            yield return $"{string.Join(", ", missed)} did not reach it within {comparison.Budget}.";
        if (first.Whole && Lowest(sound) is [var lowest, ..] && lowest != first && Clearly(lowest, first))
            yield return $"With the whole budget {lowest.Optimizer} ended lowest, at loss {Number.Short(lowest.FinalLoss, 4)}.";
    }

    private static IEnumerable<string> NotReached(BenchmarkResult comparison, IReadOnlyList<Summary> all, IReadOnlyList<Summary> sound)
    {
        if (all.All(s => s.Judged.Count == 0))
        {
            yield return $"Stopped before {(all.Count == 1 ? all[0].Optimizer : "any optimizer")} reached {Target(comparison)}.";
            yield break;
        }
        if (all is [{ Sound: false }])
            yield break; // what happened to it says it
        var some = all.Where(s => s.Reached > 0).Select(s => $"{s.Optimizer} did with {s.Share}").ToList();
        string how =
            all.Any(s => s.SecondsToTarget is not null) ? "and kept what it had reached "
            : some.Count > 0 ? "with most seeds "
            : "";
        string verdict =
            (all.Count == 1 ? all[0].Optimizer + " did not reach" : "No optimizer reached")
            + $" {Target(comparison)} {how}within {comparison.Budget}"
            + (some.Count > 0 ? $" ({string.Join(", ", some)})" : "");
        var lowest = Lowest(sound);
        yield return lowest.Count == 0 ? verdict + "."
        : all.Count == 1 ? $"{verdict}; it ended at loss {Number.Short(lowest[0].FinalLoss, 4)}."
        : $"{verdict}; {lowest[0].Optimizer} came closest, at loss {Number.Short(lowest[0].FinalLoss, 4)}.";
        if (lowest.Count > 1 && !Clearly(lowest[0], lowest[1]))
            yield return $"{lowest[1].Optimizer} ended as close within the noise ({Number.Short(lowest[1].FinalLoss, 4)}).";
    }

    /// <summary>Every optimizer that did not hold with some seed, and what happened.</summary>
    private static IEnumerable<string> Troubles(IReadOnlyList<Summary> all, bool recommends)
    {
        foreach (var s in all.Where(s => !s.Sound))
            yield return $"{Trouble.Of(s)}{(recommends ? ": not recommended" : "")}.";
        if (all.SelectMany(s => s.Runs).Any(r => r.CameApart || r.Status == RunStatus.Diverged))
            yield return "A smaller learning rate or more damping may help.";
    }

    private static IEnumerable<string> Cautions(BenchmarkResult comparison, IReadOnlyList<Summary> all, List<Summary> timed)
    {
        foreach (string warning in Trouble.AtRest(all))
            yield return warning;
        if (timed.Count > 1 && timed[0].Judged.Max(r => r.SecondsToTarget) > timed[1].Judged.Min(r => r.SecondsToTarget))
            yield return "The seeds overlap: run more of them before relying on the order.";
        if (!all.All(s => s.Whole))
            yield return "The comparison was interrupted; this is what was done until then.";
        if (comparison.Trials.Count == 0 && all.Count > 1)
            yield return "Each ran with the workload's own settings; --tune N gives every optimizer the same number of trials.";
        if (all.Count > 1 && all.All(s => s.Runs.Count == 1))
            yield return "This is one seed.";
    }

    /// <summary>Optimizers whose median run used its budget and did not diverge, the lowest final loss first.</summary>
    private static List<Summary> Lowest(IReadOnlyList<Summary> all) =>
        [.. all.Where(s => s.Whole && double.IsFinite(s.FinalLoss)).OrderBy(s => s.FinalLoss)];

    /// <summary>Whether the lower loss is lower by more than a tie.</summary>
    private static bool Clearly(Summary lower, Summary upper) => upper.FinalLoss - lower.FinalLoss > (Tie - 1) * Math.Abs(lower.FinalLoss);

    private static string Target(BenchmarkResult comparison) => $"{comparison.Target.Metric} {Number.Short(comparison.Target.Value)}";

    private static string Cost(Summary s) =>
        FormattableString.Invariant($"{Number.Short(s.SecondsToTarget!.Value)} s ({s.StepsToTarget:F0} steps)");
}
