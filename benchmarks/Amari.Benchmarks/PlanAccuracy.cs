using System.Globalization;
using System.Text.Json;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>What was predicted of an optimizer, and what a run of it took: medians over the rounds.</summary>
/// <param name="Workload">What is trained.</param>
/// <param name="Optimizer">The name in the catalog, with the workload's settings.</param>
/// <param name="PredictedBytes">Of state.</param>
/// <param name="MeasuredBytes">At the end of the run.</param>
/// <param name="Predicted">Milliseconds of a step.</param>
/// <param name="Measured">The mean over the later part of the run, evaluation not counted.</param>
/// <param name="Ratio">Predicted over measured.</param>
/// <param name="Steps">How many steps <paramref name="Measured"/> is of.</param>
/// <param name="Inside">Whether the prediction is off by 25 % at most.</param>
/// <param name="Remark">Why there is none, or what to know of it; else null.</param>
internal sealed record PlanCase(
    string Workload,
    string Optimizer,
    long? PredictedBytes,
    long? MeasuredBytes,
    double? Predicted,
    double? Measured,
    double? Ratio,
    long Steps,
    bool? Inside,
    string? Remark
);

/// <summary>Holds what <see cref="Planner"/> predicts of every optimizer of the catalog against a run by <see cref="Trainer"/>.</summary>
/// <remarks>A run lasts for the given seconds, and on until it has done two cycles of its intervals after the step from which on the
/// prediction is to hold, but no more than four times as long. What is measured begins after half of the run's time and not before that
/// step, and is a whole number of cycles where every step was seen. Where steps differ (inner iterations) the run does as many as the
/// prediction rests on, and all but the first are measured. Rounds go over all optimizers in turn.</remarks>
internal static class PlanAccuracy
{
    private const double Allowed = 0.25,
        Longest = 4;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>Predicts and trains each on each workload, prints the table of medians, and writes the file if one is named.</summary>
    public static void Run(
        IReadOnlyList<Workload> workloads,
        IReadOnlyList<OptimizerEntry> optimizers,
        int rounds,
        double seconds,
        OutputTarget? target
    )
    {
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{get_num_threads()} threads; a calibration by steps against a run of {seconds} s, ms a step in the steady "
                    + $"state, medians of {rounds} {(rounds == 1 ? "round" : "rounds")}"
            )
        );
        List<PlanCase> cases = [];
        foreach (var workload in workloads)
        {
            using var trainer = new Trainer(workload, null);
            var measured = optimizers.Select(_ => new List<PlanCase>()).ToList();
            for (int round = 0; round < rounds; round++)
            for (int i = 0; i < optimizers.Count; i++)
            {
                Console.Error.WriteLine($"round {round + 1} of {rounds}: {optimizers[i].Name}");
                measured[i].Add(Measure(trainer, new(optimizers[i].Name, new Dictionary<string, string>()), seconds));
            }
            Console.WriteLine(
                $"{workload.Name, -20} {"predicted", 10} {"measured", 10} {"ratio", 6} {"steps", 6} {"bytes", 12} {"in the run", 12}"
            );
            foreach (var c in measured.Select(Middle))
            {
                cases.Add(c);
                Console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{c.Optimizer, -20} {c.Predicted, 10:F2} {c.Measured, 10:F2} {c.Ratio, 6:F2} {c.Steps, 6} {c.PredictedBytes, 12} "
                            + $"{c.MeasuredBytes, 12}  {(c.Inside == false ? "OUTSIDE  " : "")}{c.Remark}"
                    )
                );
            }
        }
        var judged = cases.Where(c => c.Inside is not null).ToList();
        string[] outside = [.. judged.Where(c => c.Inside == false).Select(c => $"{c.Workload} {c.Optimizer}")];
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{judged.Count - outside.Length} of {judged.Count} within {Allowed:P0}; outside: "
                    + $"{(outside.Length == 0 ? "none" : string.Join(", ", outside))}"
            )
        );
        target?.Write(
            JsonSerializer.Serialize(
                new
                {
                    threads = get_num_threads(),
                    seconds,
                    allowed = Allowed,
                    outside,
                    cases,
                },
                Json
            )
        );
    }

    private static PlanCase Measure(Trainer trainer, OptimizerChoice choice, double seconds)
    {
        var plan = Planner.Predict(trainer, choice);
        if (plan.Refused is not null)
            return new(trainer.Workload.Name, choice.Name, null, null, null, null, null, 0, null, plan.Refused);
        int cycle = Planner.Intervals(trainer.Options(choice)).Select(i => i.Steps).DefaultIfEmpty(1).Max();
        bool differ = OptimizerCatalog.Find(choice.Name).EvaluatesLoss;
        using var marks = new Marks(seconds, differ ? plan.Steps : plan.FromStep + 2 * cycle);
        var run = trainer.Train(choice, 0, Budget.OfSeconds(Longest * seconds), marks, stop: marks.Enough);
        var (start, end) = differ ? marks.AllButFirst() : marks.Later(plan.FromStep, cycle);
        double measured = 1e3 * (end.Seconds - start.Seconds) / (end.Step - start.Step);
        string[] remarks =
        [
            .. new[]
            {
                run.Status == RunStatus.Diverged ? "diverged" : "",
                plan.IsPreliminary ? $"predicted from {plan.Steps} steps" : "",
                start.Step + 1 < plan.FromStep ? $"not yet at step {plan.FromStep}, from which on the prediction holds" : "",
            }.Where(r => r.Length > 0),
        ];
        return new(
            trainer.Workload.Name,
            choice.Name,
            plan.StateBytes,
            run.StateBytes,
            plan.Milliseconds,
            measured,
            null,
            end.Step - start.Step,
            null,
            remarks.Length == 0 ? null : string.Join("; ", remarks)
        );
    }

    private static PlanCase Middle(List<PlanCase> rounds)
    {
        var last = rounds[^1];
        if (last.Predicted is null)
            return last;
        double predicted = Measurements.Median(rounds.Select(r => r.Predicted!.Value)),
            measured = Measurements.Median(rounds.Select(r => r.Measured!.Value)),
            ratio = predicted / measured;
        return last with { Predicted = predicted, Measured = measured, Ratio = ratio, Inside = Math.Abs(ratio - 1) <= Allowed };
    }

    /// <summary>What the clock of a run said at its steps, or at ten of them a second; ends the run when it is long enough.</summary>
    private sealed class Marks(double seconds, long steps) : IProgress<RunProgress>, IDisposable
    {
        private readonly List<(long Step, double Seconds)> _all = [(0, 0)];
        private readonly CancellationTokenSource _enough = new();

        public CancellationToken Enough => _enough.Token;

        public void Report(RunProgress value)
        {
            if (value.Step > _all[^1].Step)
                _all.Add((value.Step, value.Seconds));
            if (value.Seconds >= seconds && value.Step >= steps)
                _enough.Cancel();
        }

        /// <summary>Between which marks to measure.</summary>
        public ((long Step, double Seconds) Start, (long Step, double Seconds) End) Later(long from, int cycle)
        {
            var end = _all[^1];
            if (from >= end.Step)
                from = 1; // it was not reached
            int start = _all.FindLastIndex(m => m.Step < end.Step && m.Seconds <= end.Seconds / 2);
            while (_all[start].Step + 1 < from && _all[start + 1].Step < end.Step)
                start++;
            int whole = _all.FindIndex(
                start,
                m => m.Step < end.Step && m.Seconds <= 0.75 * end.Seconds && (end.Step - m.Step) % cycle == 0
            );
            return (_all[whole < 0 ? start : whole], end);
        }

        /// <summary>From the first mark on.</summary>
        public ((long Step, double Seconds) Start, (long Step, double Seconds) End) AllButFirst() =>
            (_all[Math.Min(1, _all.Count - 2)], _all[^1]);

        public void Dispose() => _enough.Dispose();
    }
}
