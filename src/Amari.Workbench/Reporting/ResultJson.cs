using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The machine-readable result of <c>train</c> and <c>compare</c> with stable names, described in
/// <c>docs/result-schema.json</c>. Numbers that are not finite, and targets that were not reached, are null.</summary>
internal static partial class ResultJson
{
    /// <summary>The version of the schema. A new field does not change it; a field that is removed, or has another meaning, does.</summary>
    public const int Schema = 1;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <param name="comparisons">The results by workload. The first is the document; others follow under <c>more</c>.</param>
    /// <param name="partial">Whether more runs will follow.</param>
    public static string Of(IReadOnlyList<BenchmarkResult> comparisons, bool partial = false)
    {
        var document = ObjectOf(comparisons[0], partial);
        if (Overview.Of(comparisons) is { } overview)
            document["overview"] = overview;
        if (comparisons.Count > 1)
            document["more"] = new JsonArray([.. comparisons.Skip(1).Select(c => ObjectOf(c, partial))]);
        return document.ToJsonString(Indented);
    }

    /// <summary>The result as an object.</summary>
    public static JsonObject ObjectOf(BenchmarkResult comparison, bool partial)
    {
        var json = new JsonObject { ["schema"] = Schema };
        if (comparison.Provenance is { } provenance)
            foreach (var (name, value) in ProvenanceJson.Of(provenance))
                json[name] = value?.DeepClone();
        foreach (var (name, value) in ContentOf(comparison, partial))
            json[name] = value;
        return json;
    }

    private static IEnumerable<(string Name, JsonNode? Value)> ContentOf(BenchmarkResult comparison, bool partial) =>
        [
            ("partial", partial),
            ("workload", comparison.Workload),
            ("workloadSettings", OptionValues.Of(comparison.WorkloadSettings)),
            ("description", comparison.Description),
            ("batchSize", comparison.BatchSize),
            ("heldOutExamples", comparison.HeldOutExamples),
            ("dataCaution", comparison.DataCaution),
            ("defaultsChosenHere", comparison.DefaultsChosenHere),
            ("metric", comparison.Metric),
            (
                "target",
                new JsonObject
                {
                    ["metric"] = comparison.Target.Metric,
                    ["value"] = comparison.Target.Value,
                    ["higherIsBetter"] = comparison.HigherIsBetter,
                    ["origin"] = comparison.Target.Origin,
                }
            ),
            ("budget", Sources.BudgetsDiffer(comparison) ? null : BudgetOf(comparison.Budget)),
            ("settings", Sources.SettingsDiffer(comparison) ? null : NameOf(comparison.Settings)),
            ("schedule", comparison.Schedule is { } schedule ? ScheduleOf(schedule) : null),
            ("answer", Answer.Of(comparison)),
            ("runs", new JsonArray([.. comparison.Runs.Select(RunOf)])),
            ("trials", new JsonArray([.. comparison.Trials.Select(TrialOf)])),
        ];

    private static JsonObject TrialOf(Trial trial) =>
        new()
        {
            ["optimizer"] = trial.Optimizer,
            ["options"] = OptionValues.Of(trial.Options),
            ["schedule"] = ScheduleOf(trial.Schedule),
            ["budget"] = BudgetOf(trial.Budget),
            ["loss"] = Finite(trial.Loss),
            ["metric"] = Finite(trial.Metric),
            ["status"] = Trouble.NameOf(trial.Status),
            ["failure"] = trial.Failure is { } why ? Trouble.Reason(why) : null,
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
        json["monitorQuantities"] = new JsonArray([
            .. Quantities.Where(q => (monitor.Quantities & q.Value) != 0).Select(q => JsonValue.Create(q.Name)),
        ]);
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
            ["options"] = OptionValues.Of(run.Options),
            ["seed"] = run.Seed,
            ["status"] = Trouble.NameOf(run.Status),
            ["cameApart"] = run.CameApart,
            ["failure"] = run.Failure is { } why ? Trouble.Reason(why) : null,
            ["ending"] = run.Ending,
            ["start"] = WeightInits.NameOf(run.WeightInit),
            ["steps"] = run.Steps,
            ["seconds"] = run.Seconds,
            ["losses"] = new JsonArray([.. run.Losses.Select(p => new JsonArray(p.Step, p.Seconds, Finite(p.Loss)))]),
            ["heldOut"] = new JsonArray([.. run.HeldOut.Select(p => new JsonArray(p.Step, p.Seconds, Finite(p.Loss), Finite(p.Metric)))]),
            ["rates"] = new JsonArray([.. run.Rates.Select(p => new JsonArray(p.Step, p.Seconds, Finite(p.Rate)))]),
            ["schedule"] = ScheduleOf(run.Schedule),
            ["stepsToTarget"] = run.StepsToTarget,
            ["secondsToTarget"] = run.SecondsToTarget,
            ["best"] = run.Best is { } best ? EvaluationOf(best.Step, best.Seconds, best.Loss, best.Metric) : null,
            ["bestHeldOut"] = run.BestHeldOut is { } held ? EvaluationOf(held.Step, held.Seconds, held.Loss, held.Metric) : null,
            ["plateau"] = run.Plateau is not { } plateau
                ? null
                : new JsonObject
                {
                    ["loss"] = plateau.Loss,
                    ["fromStep"] = plateau.FromStep,
                    ["toStep"] = plateau.ToStep,
                    ["share"] = plateau.Share,
                    ["toEnd"] = plateau.ToEnd,
                    ["tolerance"] = plateau.Tolerance,
                },
            ["finalLoss"] = Finite(run.FinalLoss),
            ["finalHeldOutLoss"] = Finite(run.FinalHeldOutLoss),
            ["finalMetric"] = Finite(run.FinalMetric),
            ["table"] = run.Table is not { } table
                ? null
                : new JsonObject
                {
                    ["title"] = table.Title,
                    ["heads"] = Texts(table.Heads),
                    ["rows"] = new JsonArray([.. table.Rows.Select(Texts)]),
                },
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

    private static JsonArray Texts(IReadOnlyList<string> texts) => new([.. texts.Select(t => JsonValue.Create(t))]);

    /// <summary>The name of a source of settings.</summary>
    public static string NameOf(SettingsSource source) => SettingsSources.First(s => s.Value == source).Name;

    /// <summary>A budget as an object.</summary>
    public static JsonObject BudgetOf(Budget budget) => new() { ["seconds"] = budget.Seconds, ["epochs"] = budget.Epochs };

    private static JsonObject ScheduleOf(Schedule schedule) =>
        new() { ["shape"] = Schedule.NameOf(schedule.Shape), ["warmup"] = schedule.Warmup };

    private static JsonObject EvaluationOf(long step, double seconds, double loss, double metric) =>
        new()
        {
            ["step"] = step,
            ["seconds"] = seconds,
            ["loss"] = loss,
            ["metric"] = Finite(metric),
        };

    private static readonly (string Name, SettingsSource Value)[] SettingsSources =
    [
        .. Enum.GetValues<SettingsSource>().Select(s => (s.ToString().ToLowerInvariant(), s)),
    ];

    private static readonly (string Name, MonitorQuantities Value)[] Quantities =
    [
        .. Enum.GetValues<MonitorQuantities>()
            .Where(q => q is not (MonitorQuantities.None or MonitorQuantities.All))
            .Select(q => (q.ToString().ToLowerInvariant(), q)),
    ];

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;
}
