using System.Globalization;
using Amari.Native;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Predicts bytes and milliseconds per step by a short calibration: a few steps of each kind, weighted by the frequency of the
/// kind.</summary>
/// <remarks>An optimizer with intervals has steps of several costs. With intervals a &lt; b,
/// <code>
/// mean = t₀ (1 - 1/a) + t_a (1/a - 1/b) + t_b / b
/// </code>
/// Waiting for b steps would be training. The calibration therefore uses intervals of at most 4 and 8. A cycle of eight steps then has six
/// of t₀, one of t_a and one of t_b: the more expensive a step of the cycle, the rarer its kind. If work of two intervals is due at
/// different steps, the weights are wrong by a small share of the cheaper work. A method that evaluates the loss itself
/// (<see cref="OptimizerEntry.EvaluatesLoss"/>) has steps with different numbers of inner iterations. Then the mean is over the first steps
/// of a run, until its standard error is 6 % or ten times the calibration's seconds have passed.</remarks>
public static class Planner
{
    private const int MaxFirstInterval = 4; // of the calibration, unless a shorter interval is set

    /// <summary>Predicts the cost of a step. It uses the trainer's data, but does not affect its runs.</summary>
    /// <param name="trainer">A trainer with the workload.</param>
    /// <param name="choice">The optimizer.</param>
    /// <param name="seconds">Seconds of calibration, > 0. At least three cycles of steps are timed, but no step starts after thirty times
    /// the seconds.</param>
    /// <param name="stop">Ends the calibration after a step. The prediction then uses the steps so far.</param>
    public static StepPlan Predict(Trainer trainer, OptimizerChoice choice, double seconds = 1, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(choice);
        Require.Positive(seconds);
        trainer.RequireParameters("plan");
        var options = trainer.Options(choice);
        var due = Intervals(options);
        int[] intervals = [.. due.Select(o => o.Steps).Distinct()];
        int[] calibrated = CalibrationIntervals(intervals);
        var settings = choice.Settings.ToDictionary();
        foreach (var (name, value) in due)
            settings[name] = calibrated[Array.IndexOf(intervals, value)].ToString(CultureInfo.InvariantCulture);
        long from = 1;
        foreach (
            var (name, value) in Settings
                .Describe(options)
                .Where(o => o.Key.EndsWith("Refresh." + nameof(RefreshOptions.Warmup), StringComparison.Ordinal) && o.Value != "none")
        )
        {
            settings[name] = "none"; // the plan is for steps after the warm-up
            if (intervals.Length > 0)
                from = 1 + (long)(intervals[^1] / double.Parse(value, CultureInfo.InvariantCulture));
        }

        using var calibration = new StepCalibration(trainer, choice with { Settings = settings }, calibrated, seconds);
        try
        {
            calibration.Run(stop);
            var (mean, plain, steps, isPreliminary) = calibration.Cost(intervals);
            return new(
                choice,
                calibration.Parameters,
                calibration.StateBytes,
                mean,
                plain,
                calibration.Timed.Min(),
                calibration.Timed.Max(),
                from,
                steps,
                isPreliminary,
                null
            );
        }
        catch (Exception e) // an optimizer that cannot be created or stepped is a result: others may work
        {
            string why = e.Message.Split(" (Parameter")[0].Split('\n')[0].Trim();
            return new(choice, calibration.Parameters, 0, double.NaN, double.NaN, double.NaN, double.NaN, 0, 0, false, why);
        }
    }

    /// <summary>The intervals of the calibration.</summary>
    internal static int[] CalibrationIntervals(int[] intervals) =>
        [.. intervals.Select((value, i) => Math.Min(value, MaxFirstInterval << i))];

    /// <summary>The options for the number of steps between refreshes, if more than one, ordered by steps.</summary>
    internal static IReadOnlyList<(string Option, int Steps)> Intervals(OptimizerOptions options)
    {
        const string Interval = "Interval";
        var all = Settings.Describe(options);
        return
        [
            .. all.Where(o => o.Key.EndsWith(Interval, StringComparison.Ordinal))
                .Select(o => (o.Key, Steps: int.Parse(o.Value, CultureInfo.InvariantCulture)))
                .Where(o => o.Steps > 1)
                .OrderBy(o => o.Steps),
        ];
    }

    /// <summary>Σ of each kind's mean cost in the cycle times its share with the given intervals.</summary>
    internal static double Mean(double[] costs, int[] calibrated, int[] intervals)
    {
        double mean = 0;
        for (int kind = 0, from = 0; kind <= calibrated.Length; kind++)
        {
            double seen = Share(calibrated, kind),
                share = Share(intervals, kind);
            int to =
                kind == calibrated.Length
                    ? costs.Length
                    : Math.Min(costs.Length - 1, from + Math.Max(1, (int)Math.Round(seen * costs.Length)));
            if (to <= from)
                continue;
            mean += share * costs[from..to].Average();
            from = to;
        }
        return mean;

        // The share of steps at which the first `kind` intervals are due, but not the next one.
        static double Share(int[] every, int kind) =>
            (kind == 0 ? 1 : 1.0 / every[kind - 1]) - (kind == every.Length ? 0 : 1.0 / every[kind]);
    }
}
