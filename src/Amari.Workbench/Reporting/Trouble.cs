using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>Describes runs that came apart, diverged, failed or stayed at the loss of a constant prediction.</summary>
internal static class Trouble
{
    /// <summary>The stable name of a status: <c>completed</c>, <c>came-apart</c>, <c>diverged</c>, <c>failed</c> or
    /// <c>interrupted</c>.</summary>
    public static string NameOf(RunStatus status) => status == RunStatus.CameApart ? "came-apart" : status.ToString().ToLowerInvariant();

    /// <summary>The name for use in a sentence.</summary>
    public static string Words(RunStatus status) => NameOf(status).Replace('-', ' ');

    /// <summary>How a run ended, or that it trains.</summary>
    public static string Words(TrainingRun run) => run.IsRunning ? "training" : Words(run.Status);

    /// <summary>Whether the run rules out a recommendation of its optimizer.</summary>
    public static bool IsIn(TrainingRun run) => run.CameApart || run.Status is RunStatus.Diverged or RunStatus.Failed || LostHeldOut(run);

    /// <summary>Whether its loss was not finite before the first step.</summary>
    public static bool IsAtStart(TrainingRun run) =>
        run.Status == RunStatus.Diverged && run.Losses is [{ Step: 0, Loss: var loss }, ..] && !double.IsFinite(loss);

    /// <summary>What is wrong with its data, in one sentence; null if its trouble has other reasons.</summary>
    public static string? OfData(TrainingRun run) => run.Events.FirstOrDefault(e => e.Subject == WorkloadData.EventSubject)?.Message;

    /// <summary>Whether it trained to the end but its held-out loss is not finite.</summary>
    private static bool LostHeldOut(TrainingRun run) =>
        run is { Status: RunStatus.Completed or RunStatus.Interrupted, CameApart: false, HasHeldOutLoss: true }
        && !double.IsFinite(run.FinalHeldOutLoss);

    /// <summary>The trouble of an optimizer's runs: <c>kfac came apart on seeds 1 and 2 (best 3e-10 at step 500, ended at
    /// 853 at step 1000)</c>.</summary>
    public static string Of(Summary summary)
    {
        var parts = new List<string>();
        var apart = summary.Runs.Where(r => r.CameApart).ToList();
        if (apart.Count > 0)
        {
            var worst = apart.MaxBy(r => r.FinalLoss)!;
            string what = worst.HasHeldOutLoss ? "training loss: " : "";
            parts.Add(FormattableString.Invariant($"came apart on {Seeds(apart)} ({what}{LossesOf(worst)} at step {worst.Steps})"));
        }
        var atStart = summary.Runs.Where(IsAtStart).ToList();
        if (atStart.Count > 0)
            parts.Add($"had a loss that is not finite at the start on {Seeds(atStart)}");
        var diverged = summary.Runs.Where(r => r.Status == RunStatus.Diverged && !IsAtStart(r)).ToList();
        if (diverged.Count > 0)
            parts.Add(
                FormattableString.Invariant($"diverged on {Seeds(diverged)} (at step {string.Join(", ", diverged.Select(r => r.Steps))})")
            );
        var failed = summary.Runs.Where(r => r.Status == RunStatus.Failed).ToList();
        if (failed.Count > 0)
            parts.Add(FormattableString.Invariant($"failed on {Seeds(failed)} (at step {failed[0].Steps}: {Reason(failed[0].Failure)})"));
        var lost = summary.Runs.Where(LostHeldOut).ToList();
        if (lost.Count > 0)
            parts.Add($"ended with a held-out loss that is not finite on {Seeds(lost)}");
        return $"{summary.Optimizer} {string.Join(" and ", parts)}";
    }

    /// <summary>One line for standard error about a run in trouble; null for other runs.</summary>
    public static string? Line(TrainingRun run) =>
        What(run) is { } what ? string.Join(' ', ((string?[])[what, OfData(run)]).OfType<string>()) : null;

    private static string? What(TrainingRun run) =>
        run.Status switch
        {
            RunStatus.Diverged when IsAtStart(run) => "The loss is not finite at the start, before the first step"
                + (OfData(run) is null ? ": choose another start." : "."),
            RunStatus.Diverged => FormattableString.Invariant($"The run diverged: its loss was not finite at step {run.Steps}")
                + (run.Best is { } b ? FormattableString.Invariant($"; the best was {Number.Short(b.Loss)} at step {b.Step}.") : "."),
            RunStatus.Failed => $"The run failed: {Reason(run.Failure)}",
            _ when LostHeldOut(run) => FormattableString.Invariant($"The held-out loss was not finite at the end, step {run.Steps}."),
            _ when run.CameApart => $"The run came apart: {LossesOf(run)}.",
            _ => null,
        };

    /// <summary>The type of an exception and its message, on one line.</summary>
    public static string Reason(Exception? failure) =>
        failure is null ? "no reason given" : $"{EarlierFailure.KindOf(failure)}: {failure.Message.Split('\n')[0].Trim()}";

    /// <summary>The number of runs in each kind of trouble, one line each: <c>came apart: 2 of 3</c>.</summary>
    public static string Count(Summary summary) =>
        string.Concat(
            from part in ((string Name, int Count)[])
                [
                    ("came apart", summary.Runs.Count(r => r.CameApart)),
                    ("diverged", summary.Runs.Count(r => r.Status == RunStatus.Diverged)),
                    ("failed", summary.Runs.Count(r => r.Status == RunStatus.Failed)),
                    ("not finite", summary.Runs.Count(LostHeldOut)),
                ]
            where part.Count > 0
            select summary.Runs.Count == 1 ? $"\n{part.Name}" : $"\n{part.Name}: {part.Count} of {summary.Runs.Count}"
        );

    /// <summary>Warnings about optimizers that stayed at the loss of a constant prediction: one for all that ended there, one for each that
    /// left it.</summary>
    public static IEnumerable<string> Plateaus(IReadOnlyList<Summary> all)
    {
        var ended = all.Select(s => (Summary: s, Runs: s.Runs.Where(r => r.Plateau is { ToEnd: true }).ToList()))
            .Where(s => s.Runs.Count > 0)
            .ToList();
        var others = all.Except(ended.Select(s => s.Summary)).ToList();
        if (ended.Count > 0)
        {
            var plateau = ended[0].Runs[0].Plateau!;
            var better = others
                .SelectMany(s => s.Runs)
                .Where(r => r.Best?.Loss < plateau.Loss - 2 * plateau.Tolerance)
                .MinBy(r => r.Best!.Value.Loss);
            var names = ended
                .Select(s => s.Runs.Count == s.Summary.Runs.Count ? s.Summary.Optimizer : $"{s.Summary.Optimizer} ({Seeds(s.Runs)})")
                .ToList();
            yield return $"{Join(names)} ended at the loss of a constant prediction "
                + $"({Number.Short(plateau.Loss, 4)}): "
                + $"{(names.Count == 1 ? "it" : "they")} learned only the mean of the targets, "
                + (
                    better is null
                        ? "unless the data permit no lower loss"
                        : $"while {better.Optimizer} reached {Number.Short(better.Best!.Value.Loss)}"
                )
                + "; try another initialisation (--start), learning rate or damping.";
        }
        foreach (var summary in others)
            if (summary.Runs.Where(r => r.Plateau is not null).MaxBy(r => r.Plateau!.Share) is { Plateau: { } left } run)
                yield return $"{summary.Optimizer} stayed at the loss of a constant prediction ({Number.Short(left.Loss, 4)}) "
                    + FormattableString.Invariant($"from step {left.FromStep} to {left.ToStep} of seed {run.Seed}, ")
                    + FormattableString.Invariant($"{100 * left.Share:F0} % of the budget.");
    }

    private static string LossesOf(TrainingRun run) =>
        (run.Best is { } best ? FormattableString.Invariant($"best {Number.Short(best.Loss)} at step {best.Step}, ") : "")
        + $"ended at {Number.Short(run.FinalLoss)}";

    /// <summary>"seed 2", "seeds 1 and 2".</summary>
    public static string Seeds(IReadOnlyList<TrainingRun> runs) =>
        (runs.Count == 1 ? "seed " : "seeds ") + Join([.. runs.Select(r => FormattableString.Invariant($"{r.Seed}"))]);

    /// <summary>Words with commas, and "and" before the last.</summary>
    public static string Join(IReadOnlyList<string> words, string and = "and") =>
        words.Count == 1 ? words[0] : $"{string.Join(", ", words.SkipLast(1))} {and} {words[^1]}";
}
