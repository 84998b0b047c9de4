using Amari.Training;

namespace Amari.Reporting;

/// <summary>Answers "which optimizer should I use, and why" in words, from the numbers of a comparison. An order is only claimed where a
/// paired test over the seeds shows it.</summary>
internal static class Answer
{
    public static string Of(BenchmarkResult comparison)
    {
        var all = Summary.Of(comparison);
        if (all.Count == 0)
            return comparison.Trials.Count == 0
                ? "No run finished."
                : $"Stopped after {comparison.Trials.Count} tuning trials, before the first run.";
        // An optimizer that had trouble with a seed is not recommended, even if it is fast. A single one is described all the same.
        var stable = all.Where(s => s.IsStable).ToList();
        if (TooShort(comparison, stable) is { } why)
            return string.Join(" ", [why, .. Troubles(all, recommends: false)]);
        var contenders = all.Count == 1 ? all : stable;
        var time = new TimeVerdict(comparison, contenders, Target(comparison));
        var end = new EndVerdict(comparison, contenders);
        var verdict =
            stable.Count == 0 && all.Count > 1 ? ["No recommendation can be made: every optimizer came apart, diverged or failed."]
            : time.IsMade
                ?
                [
                    .. BestAtTheEnd(comparison, time, end) is { } best ? (string[])[$"Use {best.Optimizer}, by the ends of the runs."] : [],
                    .. time.Sentences(all.Count > 1 && stable.Count == 1, end.DiffersFrom(time.Winners)),
                    .. end.After(time.Winners),
                ]
            : time.IsMetAtStart
                ?
                [
                    $"The initial weights already meet the target, {Target(comparison)}, so it cannot compare optimizers: choose a harder "
                        + "one with --target.",
                    .. end.After([]),
                ]
            : time.Refusal is { } refusal ? [refusal, .. end.After([])]
            : NotReached(comparison, all, end);
        var winners = time.IsMade ? time.Winners : end.Winners;
        return string.Join(
            " ",
            [
                .. verdict,
                .. end.Unknown,
                .. Origin(comparison),
                .. Troubles(all, stable.Count > 0),
                .. all.Select(Ending).OfType<string>(),
                .. Method(time, end, stable.Count),
                .. Cautions.Of(comparison, all, stable.Count == 0 ? [] : winners, time),
            ]
        );
    }

    /// <summary>The optimizers without trouble that were best and cannot be told apart: by the time to the target where some reached it,
    /// otherwise at the end; also at the end if no time is beyond chance, and the first is better there than all others. None without a
    /// paired test, or without any difference that it shows.</summary>
    public static IReadOnlyList<Summary> WinnersOf(BenchmarkResult comparison)
    {
        List<Summary> stable = [.. Summary.Of(comparison).Where(s => s.IsStable)];
        if (TooShort(comparison, stable) is not null)
            return [];
        var (time, end) = (new TimeVerdict(comparison, stable, Target(comparison)), new EndVerdict(comparison, stable));
        if (time.IsShown)
            return time.Winners;
        if (time.IsMade)
            return BestAtTheEnd(comparison, time, end) is { } best ? [best] : [];
        return end.IsShown && time.Refusal is null ? end.Winners : [];
    }

    /// <summary>Who reached the target first where no test shows that, if it is better than all others at the end; null otherwise, and if a
    /// busy machine has a part in the ends.</summary>
    private static Summary? BestAtTheEnd(BenchmarkResult comparison, TimeVerdict time, EndVerdict end) =>
        time is { IsShown: false, Winners: [var first, ..] } && end.BeatsAll(first) && !comparison.Runs.Any(Conditions.IsBusy)
            ? first
            : null;

    /// <summary>What the ends of the runs say against the optimizers that reached the target first: that they overfit, or that another one
    /// ends better. Null if there is nothing, or if the order is not one of time.</summary>
    public static string? ReservationOf(BenchmarkResult comparison)
    {
        List<Summary> stable = [.. Summary.Of(comparison).Where(s => s.IsStable)];
        var time = new TimeVerdict(comparison, stable, Target(comparison));
        return time.IsShown && TooShort(comparison, stable) is null ? new EndVerdict(comparison, stable).Against(time.Winners) : null;
    }

    /// <summary>What the target is, where that is known: one sentence, or none.</summary>
    public static IEnumerable<string> Origin(BenchmarkResult comparison) =>
        comparison.Target.Origin is { } origin ? [$"The target is {origin}."] : [];

    /// <summary>Why runs are too short for any verdict, in one sentence: no optimizer took a step, or one had no more than the step that no
    /// budget prevents. Null if they are not. A single step that reached the target, or after which there was nothing to do, is
    /// enough.</summary>
    private static string? TooShort(BenchmarkResult comparison, List<Summary> stable)
    {
        List<TrainingRun> runs = [.. stable.SelectMany(s => s.Runs)];
        if (runs.Count > 0 && runs.TrueForAll(r => r.Steps == 0))
            return runs.Exists(r => r.Status == RunStatus.Interrupted)
                ? "Stopped before the first step."
                : $"No step was taken within {Sources.Budget(comparison, stable.Select(s => s.Optimizer))}.";
        var single = stable.Where(s => s.Runs.Any(IsSingleStep)).Select(s => s.Optimizer).ToList();
        return stable.Count < 2 || single.Count == 0 || comparison.Budget.Seconds is null
            ? null
            : $"{Trouble.Join(single)} took no more than one step within {Sources.Budget(comparison, single)}, "
                + "which is too short to compare: use a longer "
                + "--budget.";

        static bool IsSingleStep(TrainingRun run) => run is { Steps: <= 1, Status: RunStatus.Completed, Ending: null, StepsToTarget: null };
    }

    private static IEnumerable<string> NotReached(BenchmarkResult comparison, IReadOnlyList<Summary> all, EndVerdict end)
    {
        if (all.All(s => s.Eligible.Count == 0))
            return [$"Stopped before {(all.Count == 1 ? all[0].Optimizer : "any optimizer")} reached {Target(comparison)}."];
        if (all is [{ IsStable: false }])
            return []; // its trouble says enough
        var some = all.Where(s => s.Reached > 0).Select(s => $"{s.Optimizer} did with {s.Share}").ToList();
        string how =
            all.Any(s => s.ReachedByAll) ? " and kept its progress"
            : some.Count > 0 ? " with every seed"
            : "";
        return end.Alone(
            (all.Count == 1 ? all[0].Optimizer + " did not reach" : "No optimizer reached")
                + $" {Target(comparison)}{how} within {Sources.Budget(comparison, all.Select(s => s.Optimizer))}"
                + (some.Count > 0 ? $" ({string.Join(", ", some)})" : "")
        );
    }

    private static IEnumerable<string> Method(TimeVerdict time, EndVerdict end, int stable)
    {
        if (stable < 2)
            yield break;
        if (time.IsTested || end.IsTested)
            yield return "Only differences beyond chance count: paired t tests over the seeds at 5 %, with Holm's correction"
                + (time.Censored is { } seconds ? $"; every run that missed the target counts with {seconds}." : ".");
        foreach (string limit in time.Limits.Concat(end.Limits).Distinct())
            yield return limit;
    }

    /// <summary>The trouble of every optimizer that had any with some seed.</summary>
    private static IEnumerable<string> Troubles(IReadOnlyList<Summary> all, bool recommends)
    {
        foreach (var s in all.Where(s => !s.IsStable))
            yield return $"{Trouble.Of(s)}{(recommends || all.Count == 1 ? ": not recommended" : "")}.";
        List<TrainingRun> runs = [.. all.SelectMany(s => s.Runs)];
        if (runs.Select(Trouble.OfData).OfType<string>().FirstOrDefault() is { } data)
        {
            yield return $"{data} Correct them, or leave their examples out.";
            yield break;
        }
        if (runs.Exists(r => (r.CameApart || r.Status == RunStatus.Diverged) && !Trouble.IsAtStart(r)))
            yield return "A smaller learning rate or more damping may help.";
        if (runs.Exists(Trouble.IsAtStart))
            yield return "No step can be taken where the loss is not finite: choose another start.";
    }

    /// <summary>Why a least-squares method ended before its budget; null if it did not.</summary>
    private static string? Ending(Summary summary)
    {
        List<TrainingRun> ended = [.. summary.Runs.Where(r => r.Ending is not null)];
        return ended is not [var run, ..]
            ? null
            : FormattableString.Invariant($"{summary.Optimizer} ended before its budget was used, after {run.Steps} steps")
                + (
                    summary.Runs.Count == 1
                        ? ""
                        : FormattableString.Invariant($" with seed {run.Seed} ({ended.Count} of {summary.Runs.Count})")
                )
                + $". {run.Ending}";
    }

    private static string Target(BenchmarkResult comparison) => $"{comparison.Target.Metric} {Number.Short(comparison.Target.Value)}";
}
