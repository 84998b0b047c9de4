using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The machine-readable result with stable names. Numbers that are not finite, and targets that were not reached, are
/// null.</summary>
internal static class ResultJson
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <param name="comparisons">The results by workload. The first is the document; others follow under <c>more</c>.</param>
    /// <param name="partial">Whether more runs will follow.</param>
    public static string Of(IReadOnlyList<BenchmarkResult> comparisons, bool partial = false)
    {
        var document = Of(comparisons[0], partial);
        if (comparisons.Count > 1)
            document["more"] = new JsonArray([.. comparisons.Skip(1).Select(c => Of(c, partial))]);
        return document.ToJsonString(Indented);
    }

    private static JsonObject Of(BenchmarkResult comparison, bool partial) =>
        new()
        {
            ["partial"] = partial,
            ["workload"] = comparison.Workload,
            ["metric"] = comparison.Metric,
            ["target"] = new JsonObject { ["metric"] = comparison.Target.Metric, ["value"] = comparison.Target.Value },
            ["budget"] = BudgetOf(comparison.Budget),
            ["answer"] = Answer.Of(comparison),
            ["runs"] = new JsonArray([.. comparison.Runs.Select(RunOf)]),
            ["trials"] = new JsonArray([
                .. comparison.Trials.Select(t => new JsonObject
                {
                    ["optimizer"] = t.Optimizer,
                    ["options"] = Map(t.Options),
                    ["budget"] = BudgetOf(t.Budget),
                    ["loss"] = Finite(t.Loss),
                    ["status"] = Trouble.NameOf(t.Status),
                    ["failure"] = t.Failure is { } why ? Trouble.Reason(why) : null,
                }),
            ]),
        };

    private static JsonObject RunOf(TrainingRun run)
    {
        var json = Plain(run);
        if (run.CurvatureChoice is { } choice)
            json["curvatureChoice"] = new JsonObject
            {
                ["budget"] = choice.Budget,
                ["share"] = choice.Share,
                ["factorInterval"] = choice.FactorInterval,
                ["inverseInterval"] = choice.InverseInterval,
                ["factorExamples"] = choice.FactorBatchSize,
            };
        if (run.Monitor is not { } monitor)
            return json;
        json["monitor"] = new JsonArray([.. monitor.Rows.Select(r => MonitorLog.Of(r))]);
        json["monitorCost"] = new JsonObject
        {
            ["askedShare"] = monitor.TargetShare,
            ["share"] = monitor.Share,
            ["seconds"] = monitor.Seconds,
            ["endSeconds"] = monitor.EndSeconds,
        };
        json["stabilityBound"] = monitor.BoundRule;
        return json;
    }

    private static JsonObject Plain(TrainingRun run) =>
        new()
        {
            ["optimizer"] = run.Optimizer,
            ["options"] = Map(run.Options),
            ["seed"] = run.Seed,
            ["status"] = Trouble.NameOf(run.Status),
            ["failure"] = run.Failure is { } why ? Trouble.Reason(why) : null,
            ["start"] = WeightInits.NameOf(run.WeightInit),
            ["steps"] = run.Steps,
            ["seconds"] = run.Seconds,
            ["losses"] = new JsonArray([.. run.Losses.Select(p => new JsonArray(p.Step, p.Seconds, Finite(p.Loss)))]),
            ["heldOut"] = new JsonArray([.. run.HeldOut.Select(p => new JsonArray(p.Step, p.Seconds, Finite(p.Loss), Finite(p.Metric)))]),
            ["rates"] = new JsonArray([.. run.Rates.Select(p => new JsonArray(p.Step, p.Seconds, Finite(p.Rate)))]),
            ["schedule"] = new JsonObject { ["shape"] = Schedule.NameOf(run.Schedule.Shape), ["warmup"] = run.Schedule.Warmup },
            ["stepsToTarget"] = run.StepsToTarget,
            ["secondsToTarget"] = run.SecondsToTarget,
            ["best"] = run.Best is not { } best
                ? null
                : new JsonObject
                {
                    ["step"] = best.Step,
                    ["seconds"] = best.Seconds,
                    ["loss"] = best.Loss,
                    ["metric"] = Finite(best.Metric),
                },
            ["plateau"] = run.Plateau is not { } plateau
                ? null
                : new JsonObject
                {
                    ["loss"] = plateau.Loss,
                    ["fromStep"] = plateau.FromStep,
                    ["toStep"] = plateau.ToStep,
                    ["share"] = plateau.Share,
                    ["toEnd"] = plateau.ToEnd,
                },
            ["finalLoss"] = Finite(run.FinalLoss),
            ["finalMetric"] = Finite(run.FinalMetric),
            ["millisecondsPerStep"] = Finite(run.MillisecondsPerStep),
            ["stepMilliseconds"] = new JsonObject
            {
                ["low"] = Finite(run.StepTimes.Low),
                ["median"] = Finite(run.StepTimes.Median),
                ["high"] = Finite(run.StepTimes.High),
            },
            ["cpuSeconds"] = run.CpuSeconds,
            ["evaluationSeconds"] = run.EvaluationSeconds,
            ["cpuOverWall"] = Finite(run.CpuOverWall),
            ["waitedForCpu"] = run.WaitedForCpu,
            ["parameters"] = run.Parameters,
            ["stateBytes"] = run.StateBytes,
            ["stateBytesPerParameter"] = Finite(run.StateBytesPerParameter),
            ["coverage"] = new JsonArray([
                .. run.Coverage.Select(c => new JsonObject
                {
                    ["parameter"] = c.Parameter,
                    ["block"] = c.Block,
                    ["reason"] = c.Reason,
                }),
            ]),
            ["events"] = new JsonArray([
                .. run.Events.Select(e => new JsonObject
                {
                    ["step"] = e.Step,
                    ["subject"] = e.Subject,
                    ["message"] = e.Message,
                }),
            ]),
        };

    private static JsonObject BudgetOf(Budget budget) => new() { ["seconds"] = budget.Seconds, ["epochs"] = budget.Epochs };

    private static JsonObject Map(IReadOnlyDictionary<string, string> map) =>
        new(map.Select(p => KeyValuePair.Create(p.Key, (JsonNode?)p.Value)));

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;
}
