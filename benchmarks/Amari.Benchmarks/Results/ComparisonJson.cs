using System.Text.Json.Nodes;
using Amari.Optimizers;
using Amari.Reporting;
using Amari.Training;

namespace Amari.Benchmarks.Results;

/// <summary>A comparison without its curves: ends, times and tests.</summary>
internal static class ComparisonJson
{
    /// <summary>The comparison.</summary>
    public static JsonObject Of(BenchmarkResult c)
    {
        var all = Summary.Of(c);
        var end = EndTest.Of(all);
        var race = Race.Of(all);
        return new()
        {
            ["workload"] = c.Workload,
            ["description"] = c.Description,
            ["batchSize"] = c.BatchSize,
            ["metric"] = c.Metric,
            ["target"] = new JsonObject { ["metric"] = c.Target.Metric, ["value"] = CompactJson.Of(c.Target.Value) },
            ["budget"] = c.Budget.ToString(),
            ["settings"] = c.Settings.ToString().ToLowerInvariant(),
            ["schedule"] = c.Schedule?.ToString(),
            ["trials"] = TrialsOf(c, full: false),
            ["fullTrials"] = TrialsOf(c, full: true),
            ["defaultsChosenHere"] = c.DefaultsChosenHere,
            ["busyRuns"] = c.Runs.Count(Conditions.IsBusy),
            ["answer"] = Answer.Of(c),
            ["provenance"] = c.Provenance is { } p ? ProvenanceJson.Of(p) : null,
            ["endScale"] = end.Scale.IsLogarithmic ? "ratio" : "difference",
            ["leader"] = end.Contest?.Leader.Optimizer,
            ["firstOrder"] = race?.Reference.Optimizer,
            ["optimizers"] = new JsonArray([.. all.Select(s => Of(c, s, end, race))]),
        };
    }

    private static JsonObject Of(BenchmarkResult c, Summary s, EndTest end, Race? race) =>
        new()
        {
            ["optimizer"] = s.Optimizer,
            ["schedule"] = OptimizerCatalog.Find(s.Optimizer).OwnSchedule is null ? s.Example.Schedule.ToString() : "its own",
            ["options"] = new JsonObject(Chosen(s).Select(o => KeyValuePair.Create(o.Key, (JsonNode?)JsonValue.Create(o.Value)))),
            ["troubledTrials"] = c.Trials.Count(t => t.Optimizer == s.Optimizer && t.Status != RunStatus.Completed),
            ["parameters"] = s.Example.Parameters,
            ["stateBytes"] = s.Example.StateBytes,
            ["endTest"] = end.Contest?.Rivals.FirstOrDefault(r => r.Name == s.Optimizer) is { } rival
                ? Of(rival.Test, rival.P, end.Scale.Back)
                : null,
            ["secondsTest"] = race?.Seconds.GetValueOrDefault(s.Optimizer) is { } seconds ? Of(seconds.Test, seconds.P, Math.Exp) : null,
            ["stepsTest"] = race?.Steps.GetValueOrDefault(s.Optimizer) is { } steps ? Of(steps.Test, steps.P, Math.Exp) : null,
            ["runs"] = new JsonArray([.. s.Runs.Select(r => Of(r, race))]),
        };

    /// <summary>The number of an optimizer's trials with a part of the budget, or with the full one.</summary>
    private static int TrialsOf(BenchmarkResult c, bool full) =>
        c.Trials.Where(t => t.Budget == c.Budget == full).GroupBy(t => t.Optimizer).Select(g => g.Count()).DefaultIfEmpty().Max();

    /// <summary>The options that differ from the optimizer's defaults.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Chosen(Summary s)
    {
        var entry = OptimizerCatalog.Find(s.Optimizer);
        var defaults = Settings.Describe(Settings.Apply(entry.OptionsType, entry.Preset ?? []));
        return s.Example.Options.Where(o => defaults.GetValueOrDefault(o.Key) != o.Value).OrderBy(o => o.Key, StringComparer.Ordinal);
    }

    private static JsonObject Of(PairedTest test, double p, Func<double, double> scale) =>
        new()
        {
            ["mean"] = CompactJson.Of(scale(test.Mean)),
            ["interval"] = CompactJson.Array(scale(test.Interval.Low), scale(test.Interval.High)),
            ["p"] = CompactJson.Of(test.P),
            ["holm"] = CompactJson.Of(p),
        };

    private static JsonObject Of(TrainingRun r, Race? race)
    {
        var reached = race?.Reached(r);
        return new()
        {
            ["seed"] = r.Seed,
            ["status"] = Trouble.NameOf(r.Status),
            ["troubled"] = Trouble.IsIn(r),
            ["failure"] = r.Failure is null ? null : Trouble.Reason(r.Failure),
            ["steps"] = r.Steps,
            ["seconds"] = CompactJson.Of(r.Seconds),
            ["heldOut"] = CompactJson.Of(r.FinalHeldOutLoss),
            ["bestHeldOut"] = CompactJson.Of(r.BestHeldOut?.Loss),
            ["bestStep"] = r.BestHeldOut?.Step,
            ["metric"] = CompactJson.Of(r.FinalMetric),
            ["training"] = CompactJson.Of(r.FinalLoss),
            ["target"] = r.SecondsToTarget is { } t ? CompactJson.Array(t, r.StepsToTarget!.Value) : null,
            ["race"] = reached is { } at ? CompactJson.Array(at.Seconds, at.Steps) : null,
            ["stepMilliseconds"] = CompactJson.Array(r.StepTimes.Low, r.StepTimes.Median, r.StepTimes.High),
            ["evaluationSeconds"] = CompactJson.Of(r.EvaluationSeconds),
            ["cpuSeconds"] = CompactJson.Of(r.CpuSeconds),
            ["cpuOverWall"] = CompactJson.Of(r.CpuOverWall),
            ["waitedForCpu"] = CompactJson.Of(r.WaitedForCpu),
        };
    }
}
