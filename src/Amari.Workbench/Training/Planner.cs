using System.Diagnostics;
using System.Globalization;
using Amari.Native;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Predicts bytes and milliseconds per step by a short calibration: a few steps of each kind, weighted by how often the kind
/// occurs.</summary>
/// <remarks> An optimizer with intervals has steps of several costs: with intervals a &lt; b,
/// <code>
/// mean = t₀ (1 - 1/a) + t_a (1/a - 1/b) + t_b / b
/// </code>
/// Waiting for b steps would be training. So the calibration runs with intervals of 4 and 8 at most, where one cycle of eight steps has six
/// of t₀, one of t_a and one of t_b: the dearer a step of the cycle, the rarer its kind. What work of two intervals in different steps is
/// weighted wrong by is a small share of the lesser. A method that evaluates the loss itself (<see cref="OptimizerEntry.EvaluatesLoss"/>)
/// makes as many inner iterations as each step asks for: there the mean is of a run's first steps, as many as it takes for the mean's
/// standard error to be 6 %, or as ten times the calibration's seconds hold. </remarks>
public static class Planner
{
    private const int FewestCycles = 3,
        Warming = 2;
    private const int Shortest = 4; // of the intervals calibrated with, unless a shorter one is asked for
    private const double Patience = 30; // times the calibration's seconds: then it ends, whatever it has seen
    private const double LongestWarming = 4; // times the calibration's seconds
    private const double Exact = 0.06,
        LongestAveraging = 10; // standard error of a mean over steps that differ, as a share of it; times the calibration's seconds

    /// <summary>Predicts; the trainer's data is used, its runs are not touched.</summary>
    /// <param name="trainer">Of the workload.</param>
    /// <param name="choice">The optimizer.</param>
    /// <param name="seconds">How long to calibrate, > 0; three cycles of steps at least, but no step is begun after thirty times as
    /// long.</param>
    /// <param name="stop">Ends the calibration after a step; the prediction is then of what was seen.</param>
    public static StepPlan Predict(Trainer trainer, OptimizerChoice choice, double seconds = 1, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(choice);
        Require.Positive(seconds);
        trainer.RequireParameters("plan");
        var options = trainer.Options(choice);
        var asked = Intervals(options);
        int[] intervals = [.. asked.Select(o => o.Steps).Distinct()];
        int[] tried = Tried(intervals);
        var settings = choice.Settings.ToDictionary();
        foreach (var (name, value) in asked)
            settings[name] = tried[Array.IndexOf(intervals, value)].ToString(CultureInfo.InvariantCulture);
        long from = 1;
        foreach (
            var (name, value) in Settings
                .Describe(options)
                .Where(o => o.Key.EndsWith("Refresh." + nameof(RefreshOptions.Warmup), StringComparison.Ordinal) && o.Value != "none")
        )
        {
            settings[name] = "none"; // the beginning is over
            if (intervals.Length > 0)
                from = 1 + (long)(intervals[^1] / double.Parse(value, CultureInfo.InvariantCulture));
        }

        var entry = OptimizerCatalog.Find(choice.Name);
        var model = Model();
        long parameters = model.parameters().Where(p => p.requires_grad).Sum(p => p.numel());
        Optimizer optimizer;
        try
        {
            optimizer = Create();
        }
        catch (Exception e) // one that cannot be made, or does not step, is a result: others may
        {
            model.Dispose();
            return Refusal(e);
        }
        try
        {
            int cycle = tried.Length == 0 ? 1 : tried[^1],
                warm = 0,
                begin = 0;
            var times = new List<double>();
            var compilation = new Compilation();
            double whole = 0,
                timed = 0;
            while (
                times.Count == 0
                || (
                    !stop.IsCancellationRequested
                    && whole < Patience * seconds
                    && (
                        times.Count < warm + FewestCycles * cycle
                        || timed < seconds
                        || (entry.EvaluatesLoss && timed < LongestAveraging * seconds && !IsMeanExact())
                    )
                )
            )
            {
                long start = Stopwatch.GetTimestamp();
                trainer.Step(model, optimizer, 0, times.Count - begin);
                double took = Stopwatch.GetElapsedTime(start).TotalSeconds;
                whole += took;
                times.Add(1e3 * took);
                if (!IsWarm())
                    (warm, timed) = (times.Count, 0);
                else if (entry.EvaluatesLoss && begin == 0)
                    Restart();
                else
                    timed += took;
            }
            double[] seen =
            [
                .. times.Skip(
                    times.Count > warm ? warm
                    : times.Count > 1 ? 1
                    : 0
                ),
            ];
            double[][] cycles = [.. times.Skip(warm).Chunk(cycle).Where(c => c.Length == cycle).Select(c => c.Order().ToArray())];
            if (entry.EvaluatesLoss || cycles.Length == 0)
                return Plan(seen.Average(), seen.Min(), seen.Length, seen.Length < FewestCycles * cycle);
            double[] costs = [.. Enumerable.Range(0, cycle).Select(i => Median([.. cycles.Select(c => c[i])]))];
            return Plan(Mean(costs, tried, intervals), costs[(cycle - 1) / 2], cycles.Length * cycle, hasty: false);

            StepPlan Plan(double mean, double plain, int steps, bool hasty) =>
                new(choice, parameters, optimizer.StateBytes, mean, plain, seen.Min(), seen.Max(), from, steps, hasty, null);

            // The first steps make states, and are compiled.
            bool IsWarm() =>
                begin > 0
                || warm < times.Count - 1
                || ((compilation.IsOver(whole) || whole >= LongestWarming * seconds) && times.Count > Math.Max(Warming, cycle));

            // Steps that differ are timed from the first on: a run begins there.
            void Restart()
            {
                (warm, begin) = (times.Count, times.Count);
                optimizer.Dispose();
                model.Dispose();
                model = Model();
                optimizer = Create();
            }

            bool IsMeanExact()
            {
                double[] some = [.. times.Skip(warm)];
                double mean = some.Average();
                return some.Sum(t => (t - mean) * (t - mean)) / (some.Length * (some.Length - 1.0)) <= Exact * Exact * mean * mean;
            }
        }
        catch (Exception e)
        {
            return Refusal(e);
        }
        finally
        {
            optimizer.Dispose();
            model.Dispose();
        }

        StepPlan Refusal(Exception why) =>
            new(
                choice,
                parameters,
                0,
                double.NaN,
                double.NaN,
                double.NaN,
                double.NaN,
                0,
                0,
                false,
                why.Message.Split(" (Parameter")[0].Split('\n')[0].Trim()
            );

        nn.Module<Tensor, Tensor> Model()
        {
            manual_seed(0);
            return trainer.Workload.CreateModel();
        }

        Optimizer Create() => entry.Create(model, trainer.Options(choice with { Settings = settings }), trainer.Workload.Likelihood);
    }

    /// <summary>The intervals to calibrate with.</summary>
    internal static int[] Tried(int[] intervals) => [.. intervals.Select((value, i) => Math.Min(value, Shortest << i))];

    /// <summary>The options that say every how many steps something is made anew, if more than one, by their steps.</summary>
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

    /// <summary>Σ of each kind's mean cost in the cycle times its share among the steps asked for.</summary>
    internal static double Mean(double[] costs, int[] tried, int[] intervals)
    {
        double mean = 0;
        for (int kind = 0, from = 0; kind <= tried.Length; kind++)
        {
            double seen = Share(tried, kind),
                share = Share(intervals, kind);
            int to =
                kind == tried.Length ? costs.Length : Math.Min(costs.Length - 1, from + Math.Max(1, (int)Math.Round(seen * costs.Length)));
            if (to <= from)
                continue;
            mean += share * costs[from..to].Average();
            from = to;
        }
        return mean;

        // The steps at which the first `kind` intervals come round, and not the next.
        static double Share(int[] every, int kind) =>
            (kind == 0 ? 1 : 1.0 / every[kind - 1]) - (kind == every.Length ? 0 : 1.0 / every[kind]);
    }

    private static double Median(List<double> times)
    {
        times.Sort();
        return times.Count % 2 == 1 ? times[times.Count / 2] : (times[times.Count / 2 - 1] + times[times.Count / 2]) / 2;
    }
}
