using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Amari.Optimizers;
using Amari.Serialization;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The record of a run so far, saved in its checkpoints.</summary>
internal sealed class RunRecord(
    string workload,
    string optimizer,
    IReadOnlyDictionary<string, string> options,
    int seed,
    WeightInit start = WeightInit.Workload
)
{
    private static readonly JsonSerializerOptions Json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };
    private const string What = "The checkpoint's run";
    private const int MaxTimes = 1001;
    private IReadOnlyDictionary<string, string> _options = options;
    private List<double> _times = []; // milliseconds of the newest steps, a ring buffer
    private int _next;

    public string Optimizer => optimizer;

    /// <summary>The workload's <see cref="Workload.SettingValues"/>.</summary>
    public IReadOnlyDictionary<string, string> WorkloadSettings { get; init; } = new Dictionary<string, string>();

    /// <summary>The <see cref="DataFingerprint"/> of the run's data.</summary>
    public Lazy<string>? Data { get; init; }

    /// <summary>The schedule of the learning rate.</summary>
    public Schedule Schedule { get; set; } = Schedule.Constant;

    /// <summary>The length of the run.</summary>
    public Budget? Budget { get; init; }

    /// <summary>Steps of a pass over the data.</summary>
    public long StepsPerEpoch { get; init; }
    public MonitorResult? Monitor { get; set; }
    public long Step { get; private set; }
    public double Seconds { get; private set; }
    public List<LossPoint> Losses { get; private set; } = [];
    public List<HeldOutPoint> HeldOut { get; private set; } = [];
    public List<RatePoint> Rates { get; private set; } = [];

    /// <summary>Seconds of evaluation, which do not count as training.</summary>
    public double EvaluationSeconds { get; set; }

    /// <summary>Processor seconds of training and evaluation.</summary>
    public double CpuSeconds { get; private set; }

    /// <summary>Seconds that threads waited for a processor; null where the system does not tell.</summary>
    public double? WaitedSeconds { get; private set; } = 0;

    /// <summary>Seconds of the clock in which both were counted.</summary>
    public double CountedSeconds { get; private set; }
    public double Metric { get; private set; } = double.NaN;
    public BestEvaluation? Best { get; private set; }

    /// <summary>Why no further step would change anything; null while one may.</summary>
    public string? Ending { get; private set; }

    /// <summary>What the workload says about the model at the last evaluation.</summary>
    public ModelTable? Table { get; private set; }

    /// <summary>The events of the run, except those of its optimizer.</summary>
    public List<OptimizerEvent> Events { get; private set; } = [];
    public double RecentMillisecondsPerStep => _times.Count == 0 ? double.NaN : _times.Order().ElementAt(_times.Count / 2);

    public void Add(double seconds)
    {
        Step++;
        Seconds += seconds;
        if (_times.Count < MaxTimes)
            _times.Add(1e3 * seconds);
        else
            _times[_next = (_next + 1) % MaxTimes] = 1e3 * seconds;
    }

    /// <summary>Adds the use of the processors since the last time.</summary>
    public void AddProcessors(double counted, double ran, double? waited) =>
        (CountedSeconds, CpuSeconds, WaitedSeconds) = (CountedSeconds + counted, CpuSeconds + ran, WaitedSeconds + waited);

    /// <summary>The run ends here, with its budget unused.</summary>
    /// <param name="reason">One sentence.</param>
    public void End(string reason)
    {
        Ending = reason;
        Events.Add(new(Step, "end of the run", reason));
    }

    /// <param name="measured">What was measured.</param>
    /// <param name="rate">The learning rate of the next step.</param>
    /// <returns>Whether it is the best evaluation so far.</returns>
    public bool Evaluated(Measurement measured, double rate)
    {
        var (loss, heldOut, metric) = measured;
        Table = measured.Table;
        Losses.Add(new(Step, Seconds, loss));
        if (heldOut is { } other)
            HeldOut.Add(new(Step, Seconds, other, metric));
        Rates.Add(new(Step, Seconds, rate));
        Metric = metric;
        if (!double.IsFinite(loss) || loss >= Best?.Loss)
            return false;
        Best = new(Step, Seconds, loss, metric);
        return true;
    }

    /// <summary>The target's quantity at every evaluation.</summary>
    private IEnumerable<double> Judged(Target target) =>
        Losses.Select(
            (p, i) =>
                i + HeldOut.Count - Losses.Count is >= 0 and var at
                    ? target.Of(p.Loss, HeldOut[at].Loss, HeldOut[at].Metric)
                    : target.Of(p.Loss, double.NaN, double.NaN)
        );

    /// <summary>Whether the run lost its progress: <see cref="Stability"/>.</summary>
    public bool CameApart(Target target, Metric metric) =>
        Losses.Count > 0 && Stability.CameApart(Losses, target.IsReached(Judged(target).Last(), target.HigherIsBetter(metric)));

    /// <summary>A copy that stays as it is, for any thread.</summary>
    public RunRecord Copy()
    {
        var copy = (RunRecord)MemberwiseClone();
        (copy.Losses, copy.HeldOut, copy.Rates) = ([.. Losses], [.. HeldOut], [.. Rates]);
        (copy.Events, copy._times) = ([.. Events], [.. _times]);
        return copy;
    }

    /// <param name="target">The target of the run.</param>
    /// <param name="metric">The workload's metric.</param>
    /// <param name="status">How it ended.</param>
    /// <param name="trained">Null if the run failed before it had an optimizer.</param>
    public TrainingRun ToRun(Target target, Metric metric, RunStatus status, OptimizerSummary? trained)
    {
        int hit = Judged(target).ToList().FindIndex(v => target.IsReached(v, target.HigherIsBetter(metric)));
        return new()
        {
            Optimizer = optimizer,
            Options = _options,
            Seed = seed,
            Steps = Step,
            Seconds = Seconds,
            Losses = Losses,
            HeldOut = HeldOut,
            Rates = Rates,
            Schedule = Schedule,
            CpuSeconds = CpuSeconds,
            EvaluationSeconds = EvaluationSeconds,
            StepsToTarget = hit < 0 ? null : Losses[hit].Step,
            SecondsToTarget = hit < 0 ? null : Losses[hit].Seconds,
            Best = Best,
            FinalLoss = Losses.Count > 0 ? Losses[^1].Loss : double.NaN,
            FinalMetric = Metric,
            Table = Table,
            Ending = Ending,
            MillisecondsPerStep = RecentMillisecondsPerStep,
            StepTimes = StepTimes.Of(_times),
            Parameters = trained?.Parameters ?? 0,
            StateBytes = trained?.StateBytes ?? 0,
            WeightInit = start,
            Coverage = trained?.Coverage ?? [],
            Events = [.. trained?.Events ?? [], .. Events],
            CurvatureChoice = trained?.CurvatureChoice,
            Status = status,
            CameApart = status is RunStatus.CameApart or RunStatus.Interrupted && CameApart(target, metric),
            Monitor = Monitor,
        };
    }

    public string ToJson() =>
        new JsonObject
        {
            ["workload"] = workload,
            ["workloadSettings"] = JsonSerializer.SerializeToNode(WorkloadSettings),
            ["optimizer"] = optimizer,
            ["options"] = JsonSerializer.SerializeToNode(_options),
            ["seed"] = seed,
            ["start"] = WeightInits.NameOf(start),
            ["data"] = Data?.Value,
            ["threads"] = get_num_threads(),
            ["step"] = Step,
            ["seconds"] = Seconds,
            ["losses"] = JsonSerializer.SerializeToNode(Losses.Select(p => (double[])[p.Step, p.Seconds, p.Loss]), Json),
            ["heldOut"] = JsonSerializer.SerializeToNode(HeldOut.Select(p => (double[])[p.Step, p.Seconds, p.Loss, p.Metric]), Json),
            ["rates"] = JsonSerializer.SerializeToNode(Rates.Select(p => (double[])[p.Step, p.Seconds, p.Rate]), Json),
            ["schedule"] = Schedule.ToString(),
            ["budget"] = Budget?.ToString(),
            ["cpuSeconds"] = CpuSeconds,
            ["waitedSeconds"] = WaitedSeconds,
            ["countedSeconds"] = CountedSeconds,
            ["evaluationSeconds"] = EvaluationSeconds,
            ["metric"] = JsonSerializer.SerializeToNode(Metric, Json),
            ["table"] = JsonSerializer.SerializeToNode(Table),
            ["ending"] = Ending,
            ["best"] = Best is { } b ? JsonSerializer.SerializeToNode((double[])[b.Step, b.Seconds, b.Loss, b.Metric], Json) : null,
            ["monitor"] = JsonSerializer.SerializeToNode(Monitor, Json),
            ["events"] = JsonSerializer.SerializeToNode(Events),
        }.ToJsonString();

    /// <summary>Throws if <see cref="ToJson"/> wrote the text for another run.</summary>
    /// <exception cref="ArgumentException">It belongs to another run.</exception>
    /// <exception cref="InvalidDataException">It is malformed.</exception>
    public void Check(string json) => Check(SavedState.Parse(json, "run"));

    private void Check(JsonObject saved)
    {
        var (named, before) = Untrusted.Read(
            What,
            () =>
                (
                    ((string What, string? Saved, string Requested)[])
                        [
                            ("workload", (string?)saved["workload"], workload),
                            .. WorkloadSettings.Select(s => (s.Key, (string?)saved["workloadSettings"]?[s.Key] ?? s.Value, s.Value)),
                            ("optimizer", (string?)saved["optimizer"], optimizer),
                            ("seed", saved["seed"]?.ToString(), FormattableString.Invariant($"{seed}")),
                            ("schedule", (string?)saved["schedule"] ?? Schedule.ToString(), Schedule.ToString()),
                            ("start", (string?)saved["start"] ?? WeightInits.NameOf(WeightInit.Workload), WeightInits.NameOf(start)),
                        ],
                    OptionsOf(saved)
                )
        );
        foreach (
            var (what, was, requested) in named.Concat(
                _options.Where(o => before.ContainsKey(o.Key)).Select(o => (o.Key, (string?)before[o.Key], o.Value))
            )
        )
            if (was != requested)
                throw new ArgumentException($"The checkpoint has {what} {was}, but this run has {requested}: it cannot continue.");
        var (used, lasting) = Untrusted.Read(
            What,
            () => (Budget?.UsedBy(SavedState.Count(saved, "step"), (double)saved["seconds"]!, StepsPerEpoch) ?? 0, (string?)saved["budget"])
        );
        if (used > 1 && lasting is not null && lasting != Budget!.ToString())
            throw new ArgumentException(
                $"The checkpoint is of a run of {lasting} and has more steps than this run's budget of {Budget}: give it {lasting} or more."
            );
        if (before.Keys.Except(_options.Keys).ToList() is { Count: > 0 } unknown)
            throw new ArgumentException(
                $"The checkpoint has {string.Join(", ", unknown.Select(n => $"{n} {before[n]}"))}, "
                    + "which this version of Amari does not know: it cannot continue."
            );
    }

    private static Dictionary<string, string> OptionsOf(JsonObject saved) =>
        saved["options"].Deserialize<Dictionary<string, string>>()
        ?? throw new InvalidDataException("The checkpoint lacks the options of its run.");

    /// <summary>Continues from the record that <see cref="ToJson"/> wrote for the same run. An option that did not exist when the run
    /// started keeps the value that the run started with.</summary>
    /// <returns>Differences to the earlier run, one sentence each. They are also added to the <see cref="Events"/>.</returns>
    /// <exception cref="ArgumentException">It belongs to another run.</exception>
    /// <exception cref="InvalidDataException">It is malformed.</exception>
    public IReadOnlyList<string> Restore(string json)
    {
        var saved = SavedState.Parse(json, "run");
        Check(saved);
        return Untrusted.Read(
            What,
            () =>
            {
                Step = SavedState.Count(saved, "step");
                Seconds = (double)saved["seconds"]! is >= 0 and < double.PositiveInfinity and var seconds
                    ? seconds
                    : throw new InvalidDataException("The checkpoint's training time must be finite and at least 0.");
                Losses = [.. saved["losses"].Deserialize<double[][]>(Json)!.Select(p => new LossPoint((long)p[0], p[1], p[2]))];
                HeldOut =
                [
                    .. (saved["heldOut"].Deserialize<double[][]>(Json) ?? []).Select(p => new HeldOutPoint((long)p[0], p[1], p[2], p[3])),
                ];
                Rates = [.. (saved["rates"].Deserialize<double[][]>(Json) ?? []).Select(p => new RatePoint((long)p[0], p[1], p[2]))];
                CountedSeconds = (double?)saved["countedSeconds"] ?? 0;
                if (CountedSeconds > 0) // an older state has no such times: they are of this process alone
                    (CpuSeconds, WaitedSeconds) = ((double?)saved["cpuSeconds"] ?? 0, (double?)saved["waitedSeconds"]);
                EvaluationSeconds = (double?)saved["evaluationSeconds"] ?? 0;
                Metric = saved["metric"].Deserialize<double>(Json);
                Table = saved["table"].Deserialize<ModelTable>();
                Ending = (string?)saved["ending"];
                Best = saved["best"] is { } best
                    ? BestOf(best)
                    : Losses
                        .Where(p => double.IsFinite(p.Loss))
                        .Select(p => (BestEvaluation?)new BestEvaluation(p.Step, p.Seconds, p.Loss, double.NaN))
                        .MinBy(p => p!.Value.Loss);
                Monitor = saved["monitor"].Deserialize<MonitorResult>(Json);
                Events.Clear();
                Events.AddRange(saved["events"].Deserialize<List<OptimizerEvent>>() ?? []);
                List<string> differences = [.. Differences(saved)];
                Events.AddRange(differences.Select(o => new OptimizerEvent(Step, "resume", o)));
                return differences;
            }
        );
    }

    private IEnumerable<string> Differences(JsonObject saved)
    {
        if ((string?)saved["data"] is { } data && Data is { } now && now.Value != data)
            yield return $"the data has changed (fingerprint {now.Value}, before {data}): "
                + "the results so far belong to the earlier data";
        if ((int?)saved["threads"] is { } threads && threads != get_num_threads())
            yield return $"the run continues with {get_num_threads()} threads, before {threads}: "
                + "it may differ from an uninterrupted run by rounding";
        if (saved["schedule"] is null && Schedule != Schedule.Constant)
        {
            yield return $"the run started before schedules existed, and continues with a constant rate instead of {Schedule}";
            Schedule = Schedule.Constant;
        }
        if (Schedule != Schedule.Constant && (string?)saved["budget"] is { } budget && budget != Budget?.ToString())
            yield return $"the schedule now extends over {Budget}, before {budget}: the run differs from an uninterrupted one";
        var before = OptionsOf(saved);
        if (before.Count == 0 || _options.Keys.All(before.ContainsKey))
            yield break;
        before = new(Settings.Describe(Settings.Restore(OptimizerCatalog.Find(optimizer).OptionsType, before)));
        foreach (var (name, value) in _options)
            if (before.TryGetValue(name, out string? old) && old != value)
                yield return $"the run started before the option {name} existed, and continues with {old} instead of {value}";
        _options = before;
    }

    /// <summary>The best evaluation in a record that <see cref="ToJson"/> wrote; null if there is none.</summary>
    public static BestEvaluation? BestOf(string json) =>
        Untrusted.Read(What, () => SavedState.Parse(json, "run")["best"] is { } best ? BestOf(best) : (BestEvaluation?)null);

    private static BestEvaluation BestOf(JsonNode best) =>
        best.Deserialize<double[]>(Json) is [var step, var seconds, var loss, var metric]
            ? new((long)step, seconds, loss, metric)
            : throw new InvalidDataException("The checkpoint's best evaluation is not [step, seconds, loss, metric].");
}
