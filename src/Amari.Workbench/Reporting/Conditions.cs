using Amari.Training;

namespace Amari.Reporting;

/// <summary>Whether other processes kept the processors from a run, so that its seconds say little.</summary>
internal static class Conditions
{
    private const double MaxWaiting = 0.2;

    /// <summary>The share of the time in which a run waited for a processor; null if unknown. Where the system does not report it: by how
    /// much its processor time falls short of one processor.</summary>
    public static double? Waiting(TrainingRun run) =>
        run.WaitedForCpu ?? (run is { CpuSeconds: > 0, Seconds: > 0 } ? Math.Max(0, 1 - run.CpuSeconds / Wall(run)) : null);

    /// <summary>Whether processor time and wall time part by more than a fifth.</summary>
    public static bool IsBusy(TrainingRun run) => Waiting(run) > MaxWaiting;

    /// <summary>Processor seconds of a run for each second of its clock; null if unknown.</summary>
    public static double? ProcessorShare(TrainingRun run) => run is { CpuSeconds: > 0, Seconds: > 0 } ? run.CpuSeconds / Wall(run) : null;

    /// <summary>What was busy, and what follows from it; null if nothing was.</summary>
    /// <param name="comparison">The runs.</param>
    /// <param name="time">The verdict on the time to the target.</param>
    public static string? Remark(BenchmarkResult comparison, TimeVerdict time)
    {
        var busy = comparison.Runs.Where(IsBusy).ToList();
        if (busy.Count == 0)
            return null;
        var worst = busy.MaxBy(r => Waiting(r)!.Value)!;
        string share = FormattableString.Invariant($"{100 * Waiting(worst)!.Value:F0} %"),
            cpu = worst.CpuSeconds > 0
                ? $", {Number.Short(worst.CpuSeconds)} s of processor time, of all threads, in {Number.Short(Wall(worst))} s"
                : "",
            run = FormattableString.Invariant($"{worst.Optimizer} with seed {worst.Seed}: ");
        string what =
            comparison.Runs.Count == 1
                ? $"The machine was busy: the run waited for a processor {share} of its time{cpu}."
                : $"The machine was busy: {busy.Count} of {comparison.Runs.Count} runs waited for a processor more than a fifth of "
                    + $"their time ({run}{share}{cpu}).";
        return what
            + (
                time is { IsMade: true, IsByProcessor: true }
                    ? " So processor time is compared here, not seconds; an idle machine gives a surer answer."
                : comparison.Budget.Seconds is null ? " So its seconds say little."
                : comparison.Runs.DistinctBy(r => r.Optimizer).Count() > 1
                    ? " In these seconds an idle machine takes more steps, and the order may differ."
                : " In these seconds an idle machine takes more steps."
            );
    }

    private static double Wall(TrainingRun run) => run.Seconds + run.EvaluationSeconds;
}
