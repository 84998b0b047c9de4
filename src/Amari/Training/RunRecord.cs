using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>What a run has done so far; saved in its checkpoints.</summary>
internal sealed class RunRecord(string workload, string optimizer, IReadOnlyDictionary<string, string> options, int seed)
{
    private static readonly JsonSerializerOptions Json = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };
    private const int KeptTimes = 1001;
    private readonly List<double> _times = [];                  // milliseconds of the newest steps, a ring
    private int _next;

    public string Optimizer => optimizer;
    public MonitorResult? Monitor { get; set; }
    public long Step { get; private set; }
    public double Seconds { get; private set; }
    public List<LossPoint> Losses { get; private set; } = [];
    public double Metric { get; private set; } = double.NaN;
    public double EvaluatedAt { get; private set; }
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
    /// <param name="fraction">Of the budget, for the spacing of evaluations.</param>
    public void Evaluated(double loss, double metric, double fraction)
    {
        Losses.Add(new(Step, Seconds, loss));
        (Metric, EvaluatedAt) = (metric, fraction);
    }

    public Run ToRun(Target target, Optimizer trained, RunStatus status)
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
            FinalLoss = Losses[^1].Loss,
            FinalMetric = Metric,
            MillisecondsPerStep = RecentMillisecondsPerStep,
            Parameters = trained.parameters().Sum(p => p.numel()),
            StateBytes = trained.StateBytes,
            Coverage = trained.Coverage.Rows,
            Events = trained.Events,
            CurvatureChoice = (trained as Kfac)?.CurvatureChoice,
            Status = status,
            Monitor = Monitor,
        };
    }

    public string ToJson() => new JsonObject
    {
        ["workload"] = workload,
        ["optimizer"] = optimizer,
        ["options"] = JsonSerializer.SerializeToNode(options),
        ["seed"] = seed,
        ["step"] = Step,
        ["seconds"] = Seconds,
        ["losses"] = new JsonArray([.. Losses.Select(p => new JsonArray(p.Step, p.Seconds, p.Loss))]),
        ["metric"] = Metric,
        ["evaluatedAt"] = EvaluatedAt,
        ["monitor"] = JsonSerializer.SerializeToNode(Monitor, Json),
    }.ToJsonString();

    /// <summary>Continues from what <see cref="ToJson"/> wrote of the same run.</summary>
    /// <exception cref="InvalidDataException">It is another run's.</exception>
    public void Restore(string json)
    {
        var saved = JsonNode.Parse(json)!.AsObject();
        Check("workload", (string?)saved["workload"], workload);
        Check("optimizer", (string?)saved["optimizer"], optimizer);
        Check("seed", saved["seed"]?.ToString(), FormattableString.Invariant($"{seed}"));
        var savedOptions = saved["options"].Deserialize<Dictionary<string, string>>()!;
        foreach (var (name, value) in options) Check(name, savedOptions.GetValueOrDefault(name), value);
        Step = (long)saved["step"]!;
        Seconds = (double)saved["seconds"]!;
        Losses = [.. saved["losses"]!.AsArray().Select(p => new LossPoint((long)p![0]!, (double)p[1]!, (double)p[2]!))];
        Monitor = saved["monitor"].Deserialize<MonitorResult>(Json);
        (Metric, EvaluatedAt) = ((double)saved["metric"]!, (double)saved["evaluatedAt"]!);

        static void Check(string what, string? saved, string asked)
        {
            if (saved != asked) throw new InvalidDataException($"The checkpoint was made with {what} {saved}, this run has {asked}: it cannot continue.");
        }
    }
}
