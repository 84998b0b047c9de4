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

    /// <summary>Optimizer steps done.</summary>
    public required long Steps { get; init; }

    /// <summary>Training time in seconds, evaluation not counted.</summary>
    public required double Seconds { get; init; }

    /// <summary>The evaluations, the first before the first step.</summary>
    public required IReadOnlyList<LossPoint> Losses { get; init; }

    /// <summary>Steps at the first evaluation that met the target; null if none did.</summary>
    public required long? StepsToTarget { get; init; }

    /// <summary>Seconds at the first evaluation that met the target; null if none did.</summary>
    public required double? SecondsToTarget { get; init; }

    /// <summary>The evaluation with the least loss; null if no loss was finite.</summary>
    public BestEvaluation? Best { get; init; }

    /// <summary>Loss at the last evaluation; NaN if there is none.</summary>
    public required double FinalLoss { get; init; }

    /// <summary>The workload's metric at the last evaluation.</summary>
    public required double FinalMetric { get; init; }

    /// <summary>Median time of a step: forward, backward and optimizer.</summary>
    public required double MillisecondsPerStep { get; init; }

    /// <summary>Processor seconds over wall seconds and threads, while it trained (this process): well below 1 where threads wait, for one
    /// another, for files, or for other processes, and where libtorch has no work for all of them. NaN if it did not train.</summary>
    public double CpuOverWall { get; init; } = double.NaN;

    /// <summary>Of the time in which its threads could have run, the share in which others had the processors; above a half the run was
    /// starved, and its times say little. Null where the system does not tell (Linux does).</summary>
    public double? WaitedForCpu { get; init; }

    /// <summary>How many numbers the optimizer trains.</summary>
    public required long Parameters { get; init; }

    /// <summary>Bytes of optimizer state at the end.</summary>
    public required long StateBytes { get; init; }

    /// <summary>Bytes of optimizer state for each number that is trained.</summary>
    public double StateBytesPerParameter => (double)StateBytes / Parameters;

    /// <summary>How the weights started.</summary>
    public WeightStart Start { get; init; }

    /// <summary>Which parameter was updated by what.</summary>
    public required IReadOnlyList<CoverageRow> Coverage { get; init; }

    /// <summary>Failed factorisations, fall-backs and the like.</summary>
    public required IReadOnlyList<OptimizerEvent> Events { get; init; }

    /// <summary>What K-FAC chose to keep to its <see cref="RefreshOptions.TimeFraction"/>; null without one.</summary>
    public CurvatureChoice? CurvatureChoice { get; init; }

    /// <summary>How it ended.</summary>
    public required RunStatus Status { get; init; }

    /// <summary>Whether it lost what it had reached: it ends above ten times its best loss and above the target (where losses are
    /// negative: it gave back half
    /// of its fall), or above the loss that it started from. Also of a run that was stopped in that state, whose status is
    /// <see cref="RunStatus.Interrupted"/>.</summary>
    public bool CameApart
    {
        get => field || Status == RunStatus.CameApart;
        init;
    }

    /// <summary>The exception that ended it; null unless its status is <see cref="RunStatus.Failed"/>.</summary>
    public Exception? Failure { get; init; }

    /// <summary>The longest stretch that it rested at the loss of a constant prediction; null if it did not, or if that loss is not
    /// known.</summary>
    public Plateau? Plateau { get; init; }

    /// <summary>What the curvature monitor saw; null without one.</summary>
    public MonitorResult? Monitor { get; init; }
}
