using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>What a run has done so far; saved in its checkpoints.</summary>
internal sealed class RunRecord(string workload, string optimizer, IReadOnlyDictionary<string, string> options, int seed,
    WeightStart start = WeightStart.Workload)
{
    private static readonly JsonSerializerOptions Json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };
    private const string What = "The checkpoint's run";
    private const int KeptTimes = 1001;
    private readonly List<double> _times = [];                  // milliseconds of the newest steps, a ring
    private int _next;

    public string Optimizer => optimizer;
    public MonitorResult? Monitor { get; set; }
    public long Step { get; private set; }
    public double Seconds { get; private set; }
    public List<LossPoint> Losses { get; private set; } = [];
    public double Metric { get; private set; } = double.NaN;
    public BestEvaluation? Best { get; private set; }

    /// <summary>What happened to the run besides its optimizer's events; not saved.</summary>
    public List<OptimizerEvent> Events { get; } = [];
    public double RecentMillisecondsPerStep => _times.Count == 0 ? double.NaN : _times.Order().ElementAt(_times.Count / 2);

    public void Add(double seconds)
    {
        Step++;
        Seconds += seconds;
        if (_times.Count < KeptTimes) _times.Add(1e3 * seconds);
        else _times[_next = (_next + 1) % KeptTimes] = 1e3 * seconds;
    }

    /// <param name="loss">Mean over the training set.</param>
    /// <param name="metric">The workload's.</param>
    /// <returns>Whether it is the best so far.</returns>
    public bool Evaluated(double loss, double metric)
    {
        Losses.Add(new(Step, Seconds, loss));
        Metric = metric;
        if (!double.IsFinite(loss) || loss >= Best?.Loss) return false;
        Best = new(Step, Seconds, loss, metric);
        return true;
    }

    /// <param name="target">What the run was timed to.</param>
    /// <param name="status">How it ended.</param>
    /// <param name="trained">Null if the run failed before there was an optimizer.</param>
    public Run ToRun(Target target, RunStatus status, Optimizer? trained)
    {
        int hit = Losses.FindIndex(p => p.Loss <= target.Value);
        return new()
        {
            Optimizer = optimizer,
            Options = options,
            Seed = seed,
            Steps = Step,
            Seconds = Seconds,
            Losses = Losses,
            StepsToTarget = hit < 0 ? null : Losses[hit].Step,
            SecondsToTarget = hit < 0 ? null : Losses[hit].Seconds,
            Best = Best,
            FinalLoss = Losses.Count > 0 ? Losses[^1].Loss : double.NaN,
            FinalMetric = Metric,
            MillisecondsPerStep = RecentMillisecondsPerStep,
            Parameters = trained?.parameters().Sum(p => p.numel()) ?? 0,
            StateBytes = trained?.StateBytes ?? 0,
            Start = start,
            Coverage = trained?.Coverage.Rows ?? [],
            Events = [.. trained?.Events ?? [], .. Events],
            CurvatureChoice = (trained as Kfac)?.CurvatureChoice,
            Status = status,
            CameApart = status is RunStatus.CameApart or RunStatus.Interrupted && Stability.CameApart(Losses, target.Value),
            Monitor = Monitor,
        };
    }

    public string ToJson() => new JsonObject
    {
        ["workload"] = workload,
        ["optimizer"] = optimizer,
        ["options"] = JsonSerializer.SerializeToNode(options),
        ["seed"] = seed,
        ["start"] = WeightStarts.NameOf(start),
        ["step"] = Step,
        ["seconds"] = Seconds,
        ["losses"] = JsonSerializer.SerializeToNode(Losses.Select(p => (double[])[p.Step, p.Seconds, p.Loss]), Json),
        ["metric"] = JsonSerializer.SerializeToNode(Metric, Json),
        ["best"] = Best is { } b ? JsonSerializer.SerializeToNode((double[])[b.Step, b.Seconds, b.Loss, b.Metric], Json) : null,
        ["monitor"] = JsonSerializer.SerializeToNode(Monitor, Json),
    }.ToJsonString();

    /// <summary>Refuses what <see cref="ToJson"/> wrote of another run.</summary>
    /// <exception cref="ArgumentException">It is another run's.</exception>
    public void Check(string json)
    {
        var said = Untrusted.Read(What, () =>
        {
            var saved = JsonNode.Parse(json)!.AsObject();
            var savedOptions = saved["options"].Deserialize<Dictionary<string, string>>()!;
            return ((string What, string? Saved, string Asked)[])
            [
                ("workload", (string?)saved["workload"], workload),
                ("optimizer", (string?)saved["optimizer"], optimizer),
                ("seed", saved["seed"]?.ToString(), FormattableString.Invariant($"{seed}")),
                ("start", (string?)saved["start"] ?? WeightStarts.NameOf(WeightStart.Workload), WeightStarts.NameOf(start)),
                .. options.Select(o => (o.Key, savedOptions.GetValueOrDefault(o.Key), o.Value)),
            ];
        });
        foreach (var (what, saved, asked) in said)
            if (saved != asked) throw new ArgumentException($"The checkpoint was made with {what} {saved}, this run has {asked}: it cannot continue.");
    }

    /// <summary>Continues from what <see cref="ToJson"/> wrote of the same run.</summary>
    /// <exception cref="ArgumentException">It is another run's.</exception>
    public void Restore(string json)
    {
        Check(json);
        Untrusted.Read(What, () =>
        {
            var saved = JsonNode.Parse(json)!.AsObject();
            Step = (long)saved["step"]! is >= 0 and var step ? step : throw new InvalidDataException("The checkpoint's run has a negative step.");
            Seconds = (double)saved["seconds"]! is >= 0 and < double.PositiveInfinity and var seconds ? seconds : throw new InvalidDataException("The checkpoint's run has no time that is finite and not negative.");
            Losses = [.. saved["losses"].Deserialize<double[][]>(Json)!.Select(p => new LossPoint((long)p[0], p[1], p[2]))];
            Metric = saved["metric"].Deserialize<double>(Json);
            Best = saved["best"] is { } best ? BestOf(best)
                : Losses.Where(p => double.IsFinite(p.Loss))
                    .Select(p => (BestEvaluation?)new BestEvaluation(p.Step, p.Seconds, p.Loss, double.NaN)).MinBy(p => p!.Value.Loss);
            Monitor = saved["monitor"].Deserialize<MonitorResult>(Json);
        });
    }

    /// <summary>The best evaluation that <see cref="ToJson"/> wrote; null if it wrote none.</summary>
    public static BestEvaluation? BestOf(string json) =>
        Untrusted.Read(What, () => JsonNode.Parse(json)!["best"] is { } best ? BestOf(best) : (BestEvaluation?)null);

    private static BestEvaluation BestOf(JsonNode best) =>
        best.Deserialize<double[]>(Json) is [var step, var seconds, var loss, var metric] ? new((long)step, seconds, loss, metric)
            : throw new InvalidDataException("The checkpoint's best evaluation is not [step, seconds, loss, metric].");
}
