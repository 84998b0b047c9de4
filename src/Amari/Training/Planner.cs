using System.Diagnostics;
using System.Globalization;

namespace Amari.Training;

/// <summary>What training with an optimizer will cost on this machine, before anybody trains.</summary>
/// <param name="Choice">The optimizer and its settings.</param>
/// <param name="Parameters">How many numbers are trained.</param>
/// <param name="StateBytes">What the optimizer will hold; 0 if refused. Inverses of low rank: as after the calibration.</param>
/// <param name="Milliseconds">Of a step, batch, forward and backward pass included, the mean over the intervals at which curvature is renewed; NaN if refused.</param>
/// <param name="Plain">Milliseconds of a step that renews nothing; NaN if refused.</param>
/// <param name="Refused">Why it cannot train this workload; null if it can.</param>
public sealed record StepPlan(OptimizerChoice Choice, long Parameters, long StateBytes, double Milliseconds, double Plain, string? Refused);

/// <summary>Predicts bytes and milliseconds per step by a short calibration: a few steps of each kind, weighted by how often the kind occurs.</summary>
/// <remarks>
/// An optimizer with intervals has steps of several costs: with intervals a &lt; b,
/// <code>
/// mean = t₀ (1 - 1/a) + t_a (1/a - 1/b) + t_b / b
/// </code>Waiting for b steps would be training. So the calibration runs with intervals of 2 and 4, where one cycle of four steps has two of t₀, one of t_a
/// and one of t_b: the dearer a place in the cycle, the rarer its kind.
/// </remarks>
public static class Planner
{
    private const int FewestCycles = 4, MostCycles = 200;

    /// <summary>Predicts; the trainer's data is used, its runs are not touched.</summary>
    /// <param name="trainer">Of the workload.</param>
    /// <param name="choice">The optimizer.</param>
    /// <param name="seconds">How long to calibrate, > 0; four cycles of steps at least.</param>
    /// <param name="stop">Ends the calibration after a step; the prediction is then of what was seen.</param>
    public static StepPlan Predict(Trainer trainer, OptimizerChoice choice, double seconds = 1, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(trainer);
        ArgumentNullException.ThrowIfNull(choice);
        Require.Positive(seconds);
        var options = Settings.Describe(trainer.Options(choice));
        var asked = options.Where(o => o.Key.EndsWith("Interval", StringComparison.Ordinal))
            .Select(o => (Name: o.Key, Value: int.Parse(o.Value, CultureInfo.InvariantCulture))).Where(o => o.Value > 1).ToList();
        int[] intervals = [.. asked.Select(o => o.Value).Distinct().Order()];
        int[] tried = [.. intervals.Select((value, i) => Math.Min(value, 2 << i))];
        var settings = choice.Settings.ToDictionary();
        foreach (var (name, _) in options.Where(o => o.Key.EndsWith(nameof(Kfac.Options.IntervalGrowth), StringComparison.Ordinal))) settings[name] = "none";   // the beginning is over
        foreach (var (name, value) in asked) settings[name] = tried[Array.IndexOf(intervals, value)].ToString(CultureInfo.InvariantCulture);

        manual_seed(0);
        using var model = trainer.Workload.CreateModel();
        long parameters = model.parameters().Where(p => p.requires_grad).Sum(p => p.numel());
        Optimizer optimizer;
        try
        {
            optimizer = OptimizerCatalog.Find(choice.Name).Create(model, trainer.Options(choice with { Settings = settings }), trainer.Workload.Likelihood);
        }
        catch (ArgumentException e)
        {
            return new(choice, parameters, 0, double.NaN, double.NaN, e.Message.Split(" (Parameter")[0]);
        }
        using (optimizer)
        {
            int cycle = tried.Length == 0 ? 1 : tried.Aggregate(LeastCommonMultiple);
            var times = Enumerable.Range(0, cycle).Select(_ => new List<double>()).ToArray();
            var clock = new Stopwatch();
            var all = Stopwatch.StartNew();
            long step = 0;
            for (int round = -2; round < FewestCycles || (round < MostCycles && all.Elapsed.TotalSeconds < seconds); round++)
                for (int place = 0; place < cycle && !(stop.IsCancellationRequested && round > 0); place++, step++)
                {
                    clock.Restart();
                    trainer.Step(model, optimizer, 0, step);
                    if (round >= 0) times[place].Add(clock.Elapsed.TotalMilliseconds);   // the first cycles make states and compile
                    else if (round == -1 && place == cycle - 1) all.Restart();
                }
            double[] costs = [.. times.Where(t => t.Count > 0).Select(Median).Order()];
            return new(choice, parameters, optimizer.StateBytes, Mean(costs, tried, intervals), costs[0], null);
        }
    }

    /// <summary>Σ of each kind's mean cost in the cycle times its share among the steps asked for.</summary>
    internal static double Mean(double[] costs, int[] tried, int[] intervals)
    {
        double mean = 0;
        for (int kind = 0, from = 0; kind <= tried.Length; kind++)
        {
            double seen = Share(tried, kind), share = Share(intervals, kind);
            int to = kind == tried.Length ? costs.Length : Math.Min(costs.Length - 1, from + Math.Max(1, (int)Math.Round(seen * costs.Length)));
            if (to <= from) continue;
            mean += share * costs[from..to].Average();
            from = to;
        }
        return mean;

        // The steps at which the first `kind` intervals come round, and not the next.
        static double Share(int[] every, int kind) => (kind == 0 ? 1 : 1.0 / every[kind - 1]) - (kind == every.Length ? 0 : 1.0 / every[kind]);
    }

    private static int LeastCommonMultiple(int a, int b)
    {
        int x = a, y = b;
        while (y != 0) (x, y) = (y, x % y);
        return a / x * b;
    }

    private static double Median(List<double> times)
    {
        times.Sort();
        return times.Count % 2 == 1 ? times[times.Count / 2] : (times[times.Count / 2 - 1] + times[times.Count / 2]) / 2;
    }
}
