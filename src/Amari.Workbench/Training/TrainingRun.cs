using System.Text.Json.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The result of training one workload with one optimizer and one seed.</summary>
public sealed record TrainingRun
{
    /// <summary>The optimizer's name in the catalog.</summary>
    public required string Optimizer { get; init; }

    /// <summary>Its options by name, defaults included.</summary>
    public required IReadOnlyDictionary<string, string> Options { get; init; }

    /// <summary>The seed of weights, data order and sampling.</summary>
    public required int Seed { get; init; }

    /// <summary>Completed optimizer steps.</summary>
    public required long Steps { get; init; }

    /// <summary>Training time in seconds, without evaluation.</summary>
    public required double Seconds { get; init; }

    /// <summary>The evaluations; the first is before the first step.</summary>
    public required IReadOnlyList<LossPoint> Losses { get; init; }

    /// <summary>The evaluations on held-out examples, or of the model itself (<see cref="Metric.OfModel"/>), at the same steps; empty if
    /// the workload has neither.</summary>
    public IReadOnlyList<HeldOutPoint> HeldOut { get; init; } = [];

    /// <summary>The learning rate at every evaluation.</summary>
    public IReadOnlyList<RatePoint> Rates { get; init; } = [];

    /// <summary>The schedule of the learning rate.</summary>
    public Schedule Schedule { get; init; } = Schedule.Constant;

    /// <summary>Steps at the first evaluation that met the target; null if none did.</summary>
    public required long? StepsToTarget { get; init; }

    /// <summary>Seconds at the first evaluation that met the target; null if none did.</summary>
    public required double? SecondsToTarget { get; init; }

    /// <summary>The evaluation with the lowest loss; null if no loss was finite.</summary>
    public BestEvaluation? Best { get; init; }

    /// <summary>Loss at the last evaluation; NaN if there is none.</summary>
    public required double FinalLoss { get; init; }

    /// <summary>The workload's metric at the last evaluation, on held-out examples if there are any.</summary>
    public required double FinalMetric { get; init; }

    /// <summary>The held-out loss at the last evaluation; NaN if there is none.</summary>
    [JsonIgnore]
    public double FinalHeldOutLoss => HeldOut.Count > 0 ? HeldOut[^1].Loss : double.NaN;

    /// <summary>Whether there is a held-out loss, and not only a metric of the model (<see cref="Metric.OfModel"/>).</summary>
    internal bool HasHeldOutLoss => HeldOut.Any(p => !double.IsNaN(p.Loss));

    /// <summary>The evaluation with the lowest held-out loss; null if there is none.</summary>
    [JsonIgnore]
    public HeldOutPoint? BestHeldOut => HeldOut.Where(p => double.IsFinite(p.Loss)).Select(p => (HeldOutPoint?)p).MinBy(p => p!.Value.Loss);

    /// <summary>Median milliseconds of a step: forward, backward and optimizer.</summary>
    public required double MillisecondsPerStep { get; init; }

    /// <summary>The quartiles of the milliseconds of a step.</summary>
    public StepTimes StepTimes { get; init; } = new(double.NaN, double.NaN, double.NaN);

    /// <summary>Processor seconds of training and evaluation (this process, all threads).</summary>
    public double CpuSeconds { get; init; }

    /// <summary>Seconds of evaluation, which are not part of <see cref="Seconds"/>.</summary>
    public double EvaluationSeconds { get; init; }

    /// <summary>Processor seconds divided by wall seconds and threads during training (this process). It is well below 1 if threads wait
    /// for one another, for files or for other processes, or if libtorch does not have work for all of them. NaN if the run did not
    /// train.</summary>
    public double CpuOverWall { get; init; } = double.NaN;

    /// <summary>The share of the time in which the threads could run but other processes had the processors. Above a half, the run's times
    /// are unreliable. Null if the system does not report it (Linux does).</summary>
    public double? WaitedForCpu { get; init; }

    /// <summary>Number of trained parameters.</summary>
    public required long Parameters { get; init; }

    /// <summary>Bytes of optimizer state at the end.</summary>
    public required long StateBytes { get; init; }

    /// <summary>Bytes of optimizer state per trained parameter.</summary>
    public double StateBytesPerParameter => (double)StateBytes / Parameters;

    /// <summary>The weight initialisation.</summary>
    [JsonPropertyName("Start")] // the name in saved comparisons
    public WeightInit WeightInit { get; init; }

    /// <summary>The method that updated each parameter.</summary>
    public required IReadOnlyList<CoverageRow> Coverage { get; init; }

    /// <summary>Failed factorisations, fallbacks and similar events.</summary>
    public required IReadOnlyList<OptimizerEvent> Events { get; init; }

    /// <summary>K-FAC's choice of intervals for its <see cref="RefreshOptions.TimeFraction"/>; null without one.</summary>
    public CurvatureChoice? CurvatureChoice { get; init; }

    /// <summary>How it ended.</summary>
    public required RunStatus Status { get; init; }

    /// <summary>Whether it still trains, in a live view. Its status is then <see cref="RunStatus.Interrupted"/>: what it has is what it
    /// would have if it were stopped now.</summary>
    internal bool IsRunning { get; init; }

    /// <summary>Whether it lost its progress: it ends above ten times its best loss and above the target (for negative losses: it lost half
    /// of its reduction), or above its first loss. Also true for a run stopped in that state, with the status
    /// <see cref="RunStatus.Interrupted"/>.</summary>
    public bool CameApart
    {
        get => field || Status == RunStatus.CameApart;
        init;
    }

    /// <summary>The exception that ended it; null unless its status is <see cref="RunStatus.Failed"/>.</summary>
    public Exception? Failure { get; init; }

    /// <summary>Why a least-squares method ended it before its budget was used, in one sentence: no further step on the same data would
    /// change anything. Null if the budget or something else ended it.</summary>
    public string? Ending { get; init; }

    /// <summary>The longest plateau at the loss of a constant prediction; null if there is none or that loss is unknown.</summary>
    public Plateau? Plateau { get; init; }

    /// <summary>What the workload says about the model at the last evaluation (<see cref="Workload.Describe"/>); null if nothing.</summary>
    public ModelTable? Table { get; init; }

    /// <summary>The curvature monitor's measurements; null without one.</summary>
    public MonitorResult? Monitor { get; init; }

    /// <summary>The solution and the network's error during training, for figures; null if there is nothing to show.</summary>
    [JsonInclude]
    internal SolutionField? Solution { get; init; }
}
