using System.Globalization;
using Amari.Native;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Predicts bytes and milliseconds per step by a short calibration: a set number of steps, those of each kind weighted by the
/// frequency of the kind.</summary>
/// <remarks>An optimizer with intervals has steps of several costs. With intervals a &lt; b,
/// <code>
/// mean = t₀ (1 - 1/a) + t_a (1/a - 1/b) + t_b / b
/// </code>
/// Waiting for b steps would be training. The calibration therefore uses intervals of 4 and 8. A cycle of eight steps then has six of t₀,
/// one of t_a and one of t_b. The same work is due at the same position of each cycle, and each position costs its median over the cycles
/// (<see cref="StepProfile"/>). If work of two intervals is due at different steps, the weights are wrong by a small share of the cheaper
/// work. A method that evaluates the loss itself (<see cref="OptimizerEntry.EvaluatesLoss"/>) has steps with different numbers of inner
/// iterations. Then the mean is over the first steps of a run.
/// <para>The number of steps depends on the model and the optimizer only: from 32 for a million parameters and more to 512 for a small
/// model, at least three cycles, and ten for a method that evaluates the loss itself. How busy the machine is changes the times, but
/// neither the number of steps nor the bytes, unless the time limit is reached.</para></remarks>
public static class Planner
{
    private const int FirstInterval = 4; // of the calibration; each further one is twice as long

    /// <summary>The maximum number of timed steps.</summary>
    public const int MaxSteps = 1_000_000;

    /// <summary>The default limit of the calibration, in seconds.</summary>
    public const double DefaultMaxSeconds = 60;

    /// <summary>Predicts the cost of a step. It uses the trainer's data, but does not affect its runs.</summary>
    /// <param name="trainer">A trainer with the workload.</param>
    /// <param name="choice">The optimizer.</param>
    /// <param name="steps">Number of timed steps, 1 to <see cref="MaxSteps"/>, rounded up to whole cycles; null for the default.</param>
    /// <param name="maxSeconds">No step starts after these seconds, > 0. If they end the calibration, the prediction uses the steps so far,
    /// at least one, and <see cref="StepPlan.IsPreliminary"/> reports it.</param>
    /// <param name="stop">Ends the calibration after a step. The prediction then uses the steps so far.</param>
    public static StepPlan Predict(
        Trainer trainer,
        OptimizerChoice choice,
        int? steps = null,
        double maxSeconds = DefaultMaxSeconds,
        CancellationToken stop = default
    )
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(choice);
        if (steps is < 1 or > MaxSteps)
            throw Require.Error(nameof(steps), steps, $"an integer >= 1 and <= {MaxSteps}");
        Require.Positive(maxSeconds);
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

        int cycle = calibrated.LastOrDefault(1);
        using var calibration = new StepCalibration(trainer, choice with { Settings = settings }, cycle, steps, maxSeconds);
        var plan = new StepPlan(choice, calibration.Parameters, calibration.PlannedSteps);
        try
        {
            calibration.Run(stop);
        }
        catch (Exception e) // an optimizer that cannot be created or stepped is a result: others may work
        {
            return plan with { Refused = e.Message.Split(" (Parameter")[0].Split('\n')[0].Trim() };
        }
        var timed = calibration.Timed;
        // Without a whole cycle, and with different inner iterations, kinds cannot be separated.
        bool separate = !OptimizerCatalog.Find(choice.Name).EvaluatesLoss && calibration.IsWarm && timed.Count >= cycle;
        if (separate)
            timed = [.. timed.Take(timed.Count / cycle * cycle)];
        var profile = separate ? new StepProfile(timed, calibrated, intervals) : new StepProfile(timed, [], []);
        return plan with
        {
            StateBytes = calibration.StateBytes,
            Milliseconds = separate ? profile.Spread.Median : timed.Average(s => s.Milliseconds),
            Spread = profile.Spread,
            Kinds = profile.Kinds(interval => [.. due.Where(o => o.Steps == interval).Select(o => o.Option)]),
            CpuMilliseconds = profile.CpuMilliseconds,
            WaitedForCpu = calibration.WaitedForCpu,
            FromStep = from,
            Steps = timed.Count,
            IsPreliminary = !calibration.IsComplete,
        };
    }

    /// <summary>The intervals of the calibration: each divides the next, so that all work repeats after the last one.</summary>
    internal static int[] CalibrationIntervals(int[] intervals) => [.. intervals.Select((_, i) => FirstInterval << i)];

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
    /// <param name="costs">The costs of a cycle, ascending.</param>
    /// <param name="calibrated">The intervals of the cycle.</param>
    /// <param name="intervals">The intervals in training.</param>
    internal static double Mean(double[] costs, int[] calibrated, int[] intervals) =>
        Ranks(costs.Length, calibrated).Select((range, kind) => Share(intervals, kind) * costs[range].Average()).Sum();

    /// <summary>The ranks of each kind among the costs of a cycle, ascending: the more expensive, the rarer.</summary>
    internal static IReadOnlyList<Range> Ranks(int cycle, int[] calibrated)
    {
        var ranks = new List<Range>();
        for (int kind = 0, from = 0; kind <= calibrated.Length; kind++)
        {
            int to = kind == calibrated.Length ? cycle : from + (int)Math.Round(Share(calibrated, kind) * cycle);
            ranks.Add(from..to);
            from = to;
        }
        return ranks;
    }

    /// <summary>The share of steps at which the first <paramref name="kind"/> intervals are due, but not the next one.</summary>
    internal static double Share(int[] every, int kind) =>
        (kind == 0 ? 1 : 1.0 / every[kind - 1]) - (kind == every.Length ? 0 : 1.0 / every[kind]);
}
