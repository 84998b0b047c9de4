using System.Text.Json;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

internal static partial class ResultJson
{
    /// <summary>Reads a result that <see cref="Of"/> wrote, as this version or an earlier one with the same schema.</summary>
    /// <returns>The comparisons by workload, and whether runs are missing.</returns>
    /// <exception cref="InvalidDataException">It has another schema, or is damaged; the message says how.</exception>
    public static (IReadOnlyList<BenchmarkResult> Comparisons, bool Partial) Read(string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            var root = new JsonPart("", document.RootElement);
            CheckSchema(root["schema"]);
            return ([ComparisonOf(root), .. root["more"].Items().Select(ComparisonOf)], root["partial"].Flag());
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"it is not JSON: {JsonPart.Reason(e)}", e);
        }
        catch (ArgumentException e) // a value out of its range
        {
            throw new InvalidDataException(JsonPart.Reason(e), e);
        }
    }

    private static void CheckSchema(JsonPart schema)
    {
        if (schema.IsNull)
            throw new InvalidDataException(
                $"it has no schema number; this version reads results of train and compare with schema {Schema}"
            );
        if (schema.Count() is not Schema and var other)
            throw new InvalidDataException($"it has schema {other}; this version reads schema {Schema}");
    }

    private static BenchmarkResult ComparisonOf(JsonPart root) =>
        new(
            root["workload"].Text(),
            root["metric"].Text(),
            new(MetricOf(root["target"]["metric"], root["metric"].Text()), root["target"]["value"].RequiredNumber())
            {
                Origin = root["target"]["origin"].OptionalText(),
            },
            BudgetOf(root["budget"]),
            [.. root["runs"].RequiredItems().Select(RunOf)],
            [.. root["trials"].Items().Select(TrialOf)]
        )
        {
            WorkloadSettings = root["workloadSettings"].IsNull
                ? new Dictionary<string, string>()
                : OptionValues.Read(root["workloadSettings"]),
            Description = root["description"].OptionalText() ?? "",
            BatchSize = root["batchSize"].IsNull ? 0 : root["batchSize"].SmallCount(),
            HeldOutExamples = root["heldOutExamples"].OptionalCount(),
            DataCaution = root["dataCaution"].OptionalText(),
            DefaultsChosenHere = root["defaultsChosenHere"].Flag(),
            HigherIsBetter = root["target"]["higherIsBetter"].Flag(),
            Settings = root["settings"].OneOf(SettingsSources),
            Schedule = root["schedule"].IsNull ? null : ScheduleOf(root["schedule"]),
            Provenance = ProvenanceJson.Read(root),
        };

    /// <summary>The quantity of a target, which is one that runs have.</summary>
    private static string MetricOf(JsonPart json, string metric) =>
        json.OneOf([.. ((string[])[Target.Loss, Target.HeldOutLoss, metric]).Distinct().Select(name => (name, name))]);

    private static Trial TrialOf(JsonPart json) =>
        new(json["optimizer"].Text(), OptionValues.Read(json["options"]), BudgetOf(json["budget"]), json["loss"].Number())
        {
            Metric = json["metric"].Number(),
            Schedule = ScheduleOf(json["schedule"]),
            Status = json["status"].OneOf(Statuses),
            Failure = FailureOf(json["failure"]),
        };

    private static TrainingRun RunOf(JsonPart json) =>
        json["stepsToTarget"].IsNull == json["secondsToTarget"].IsNull
            ? Read(json)
            : throw new InvalidDataException("a run has the time or the steps to its target without the other");

    private static TrainingRun Read(JsonPart json) =>
        new()
        {
            Optimizer = json["optimizer"].Text(),
            Options = OptionValues.Read(json["options"]),
            Seed = json["seed"].SmallCount(),
            Status = json["status"].OneOf(Statuses),
            CameApart = json["cameApart"].Flag(),
            Failure = FailureOf(json["failure"]),
            Ending = json["ending"].IsNull ? null : json["ending"].Text(),
            WeightInit = json["start"].OneOf(Starts),
            Steps = json["steps"].Count(),
            Seconds = json["seconds"].Seconds(),
            Losses = [.. LossesOf(json)],
            HeldOut = [.. json["heldOut"].Points(4).Select(p => new HeldOutPoint(p.Step, p.Seconds, p.Values[0], p.Values[1]))],
            Rates = [.. json["rates"].Points(3).Select(p => new RatePoint(p.Step, p.Seconds, p.Values[0]))],
            Schedule = ScheduleOf(json["schedule"]),
            StepsToTarget = json["stepsToTarget"].OptionalCount(),
            SecondsToTarget = json["secondsToTarget"].OptionalNumber(),
            Best = json["best"] is { IsNull: false } best
                ? new(best["step"].Count(), best["seconds"].RequiredNumber(), best["loss"].RequiredNumber(), best["metric"].Number())
                : null,
            Plateau = json["plateau"] is { IsNull: false } plateau ? PlateauOf(plateau) : null,
            FinalLoss = json["finalLoss"].Number(),
            FinalMetric = json["finalMetric"].Number(),
            Table = json["table"] is { IsNull: false } table ? TableOf(table) : null,
            MillisecondsPerStep = json["millisecondsPerStep"].Number(),
            StepTimes = json["stepMilliseconds"] is { IsNull: false } times
                ? new(times["low"].Number(), times["median"].Number(), times["high"].Number())
                : new(double.NaN, double.NaN, double.NaN),
            CpuSeconds = json["cpuSeconds"].OptionalNumber() ?? 0,
            EvaluationSeconds = json["evaluationSeconds"].OptionalNumber() ?? 0,
            CpuOverWall = json["cpuOverWall"].Number(),
            WaitedForCpu = json["waitedForCpu"].OptionalNumber(),
            Parameters = json["parameters"].Count(),
            StateBytes = json["stateBytes"].Count(),
            Coverage =
            [
                .. json["coverage"].Items().Select(c => new CoverageRow(c["parameter"].Text(), c["block"].Text(), c["reason"].Text())),
            ],
            Events =
            [
                .. json["events"].Items().Select(e => new OptimizerEvent(e["step"].Count(), e["subject"].Text(), e["message"].Text())),
            ],
            CurvatureChoice = json["curvatureChoice"] is { IsNull: false } choice ? ChoiceOf(choice) : null,
            Monitor = json["monitor"].IsNull ? null : MonitorOf(json),
        };

    /// <summary>The losses of a run, which begin with the one at step 0; a run that failed may have none.</summary>
    private static IEnumerable<LossPoint> LossesOf(JsonPart run)
    {
        var losses = run["losses"];
        if (losses.RequiredItems().Count == 0 && run["status"].OneOf(Statuses) != RunStatus.Failed)
            throw new InvalidDataException($"{losses.Place} is empty; only a run that failed may have no loss");
        return losses.Points(3).Select(p => new LossPoint(p.Step, p.Seconds, p.Values[0]));
    }

    private static ModelTable TableOf(JsonPart json)
    {
        IReadOnlyList<string> heads = [.. json["heads"].RequiredItems().Select(h => h.Text())];
        return new(json["title"].Text(), heads, [.. json["rows"].RequiredItems().Select(Row)]);

        IReadOnlyList<string> Row(JsonPart row) =>
            row.RequiredItems() is { } cells && cells.Count == heads.Count
                ? [.. cells.Select(c => c.Text())]
                : throw new InvalidDataException(
                    FormattableString.Invariant($"{row.Place} has {row.Items().Count} cells; it must have {heads.Count}, as the heads")
                );
    }

    private static Plateau PlateauOf(JsonPart json) =>
        new(
            json["loss"].RequiredNumber(),
            json["fromStep"].Count(),
            json["toStep"].Count(),
            json["share"].RequiredNumber(),
            json["toEnd"].Flag(),
            json["tolerance"].RequiredNumber()
        );

    private static CurvatureChoice ChoiceOf(JsonPart json) =>
        new(
            json["budget"].RequiredNumber(),
            json["share"].RequiredNumber(),
            json["factorInterval"].SmallCount(),
            json["inverseInterval"].SmallCount(),
            json["factorExamples"].Count()
        );

    private static MonitorResult MonitorOf(JsonPart run)
    {
        var cost = run["monitorCost"];
        return new(
            run["monitorQuantities"].Items().Aggregate(MonitorQuantities.None, (all, q) => all | q.OneOf(Quantities)),
            [.. run["monitor"].Items().Select(MonitorRows.Read)],
            cost["askedShare"].RequiredNumber(),
            cost["share"].RequiredNumber(),
            cost["endSeconds"].RequiredNumber(),
            cost["seconds"].RequiredNumber(),
            run["stabilityBound"].OptionalText()
        );
    }

    private static Schedule ScheduleOf(JsonPart json) => new(json["shape"].OneOf(Shapes)) { Warmup = json["warmup"].RequiredNumber() };

    private static Budget BudgetOf(JsonPart json) =>
        json["seconds"].OptionalNumber() is { } seconds ? Budget.OfSeconds(seconds) : Budget.OfEpochs(json["epochs"].SmallCount());

    /// <summary>The failure that <see cref="Trouble.Reason"/> described.</summary>
    private static EarlierFailure? FailureOf(JsonPart json) =>
        json.OptionalText() is not { } text ? null
        : text.Split(": ", 2) is [var kind, var message] ? new(kind, message, text)
        : new("Exception", text, text);

    private static readonly (string Name, RunStatus Value)[] Statuses =
    [
        .. Enum.GetValues<RunStatus>().Select(s => (Trouble.NameOf(s), s)),
    ];

    private static readonly (string Name, WeightInit Value)[] Starts =
    [
        .. Enum.GetValues<WeightInit>().Select(s => (WeightInits.NameOf(s), s)),
    ];

    private static readonly (string Name, ScheduleShape Value)[] Shapes =
    [
        .. Enum.GetValues<ScheduleShape>().Select(s => (Schedule.NameOf(s), s)),
    ];
}
