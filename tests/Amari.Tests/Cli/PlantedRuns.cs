using Amari.Tests.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Cli;

/// <summary>Runs with planted results, one for each seed.</summary>
internal static class PlantedRuns
{
    /// <summary>Runs that reach the target after these seconds, at 10 ms a step by default; NaN for one that misses it.</summary>
    public static TrainingRun[] Times(string optimizer, double[] seconds, double millisecondsPerStep = 10, double[]? ends = null) =>
        [
            .. seconds.Select(
                (s, seed) =>
                    AnswerTests.Make(
                        optimizer,
                        seed,
                        double.IsNaN(s) ? null : s,
                        double.IsNaN(s) ? null : (long)Math.Round(1000 * s / millisecondsPerStep),
                        ends?[seed] ?? (double.IsNaN(s) ? 0.5 : 0.05)
                    ) with
                    {
                        MillisecondsPerStep = millisecondsPerStep,
                        StepTimes = new(0.9 * millisecondsPerStep, millisecondsPerStep, 1.2 * millisecondsPerStep),
                        CpuSeconds = 9.8,
                    }
            ),
        ];

    /// <summary>The runs with held-out losses that fall from 2 to a best value and end at another, and an accuracy at the end.</summary>
    public static TrainingRun[] HeldOut(this TrainingRun[] runs, double[] best, double[] ends, double[]? accuracies = null) =>
        [
            .. runs.Select(
                (r, i) =>
                    r with
                    {
                        HeldOut = [new(0, 0, 2, 0.1), new(500, 5, best[i], 0.9), new(1000, 10, ends[i], accuracies?[i] ?? 0.92)],
                        FinalMetric = accuracies?[i] ?? 0.92,
                    }
            ),
        ];

    public static BenchmarkResult Compared(string target, double value, params TrainingRun[][] runs) =>
        new("digits-mlp", "accuracy", new(target, value), Budget.OfSeconds(10), [.. runs.SelectMany(r => r)], [])
        {
            HigherIsBetter = target == "accuracy",
            Schedule = Schedule.Default,
        };
}
