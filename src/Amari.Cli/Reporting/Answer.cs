using System.Globalization;
using Amari.Training;

namespace Amari.Cli.Reporting;

/// <summary>"Which one should I use, and why", in words that the numbers carry.</summary>
internal static class Answer
{
    private const double Tie = 1.1;                              // closer than this, the clock cannot tell them apart

    public static string Of(Comparison comparison)
    {
        var all = Summary.Of(comparison);
        if (all.Count == 0) return "No run was finished.";
        string target = Text($"{comparison.Target.Metric} {comparison.Target.Value:G3}");
        var sentences = new List<string>();
        var timed = all.Where(s => s.SecondsToTarget is not null).OrderBy(s => s.SecondsToTarget).ToList();
        var healthy = all.Where(s => double.IsFinite(s.FinalLoss)).OrderBy(s => s.FinalLoss).ToList();
        if (timed.Count > 0)
        {
            var (first, time) = (timed[0], timed[0].SecondsToTarget!.Value);
            sentences.Add(all.Count == 1
                ? Text($"{first.Optimizer} reached {target} in {time:G3} s ({first.StepsToTarget:F0} steps).")
                : Text($"Use {first.Optimizer}: it reached {target} first, in {time:G3} s ({first.StepsToTarget:F0} steps)."));
            if (timed.Count > 1)
            {
                var (second, ratio) = (timed[1], timed[1].SecondsToTarget!.Value / time);
                sentences.Add(ratio < Tie
                    ? Text($"{second.Optimizer} was as fast within the noise ({second.SecondsToTarget:G3} s), so other reasons may decide.")
                    : Text($"{second.Optimizer} took {ratio:F1} times as long ({second.SecondsToTarget:G3} s, {second.StepsToTarget:F0} steps)."));
            }
            if (timed.MinBy(s => s.StepsToTarget) is { } fewest && fewest != first)
                sentences.Add(Text($"{fewest.Optimizer} needed the fewest steps ({fewest.StepsToTarget:F0}), but each costs {fewest.MillisecondsPerStep / first.MillisecondsPerStep:F1} times as much here."));
            var missed = all.Except(timed).Select(s => s.Optimizer).ToList();
            if (missed.Count > 0) sentences.Add($"{string.Join(", ", missed)} did not reach it within {comparison.Budget}.");
            if (healthy.Count > 1 && healthy[0] != first)
                sentences.Add(Text($"With the whole budget {healthy[0].Optimizer} ended lowest, at loss {healthy[0].FinalLoss:G4}."));
        }
        else if (healthy.Count > 0)
        {
            sentences.Add(all.Count == 1
                ? Text($"{healthy[0].Optimizer} did not reach {target} within {comparison.Budget}; it ended at loss {healthy[0].FinalLoss:G4}.")
                : Text($"No optimizer reached {target} within {comparison.Budget}; {healthy[0].Optimizer} came closest, at loss {healthy[0].FinalLoss:G4}."));
        }
        var diverged = all.Where(s => s.Runs.Any(r => r.Status == RunStatus.Diverged)).Select(s => $"{s.Optimizer} ({s.Runs.Count(r => r.Status == RunStatus.Diverged)} of {s.Runs.Count})").ToList();
        if (diverged.Count > 0) sentences.Add($"Diverged: {string.Join(", ", diverged)}; a smaller learning rate or more damping may help.");
        if (timed.Count > 1 && timed[0].Runs.Max(r => r.SecondsToTarget) > timed[1].Runs.Min(r => r.SecondsToTarget))
            sentences.Add("The seeds overlap: run more of them before relying on the order.");
        if (comparison.Runs.Any(r => r.Status == RunStatus.Interrupted)) sentences.Add("The comparison was interrupted; this is what was done until then.");
        if (comparison.Trials.Count == 0 && all.Count > 1) sentences.Add("Each ran with the workload's own settings; --tune N gives every optimizer the same number of trials.");
        int seeds = all[0].Runs.Count;
        if (seeds == 1 && all.Count > 1) sentences.Add("This is one seed.");
        return string.Join(" ", sentences);
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
