using Amari.Workloads;

namespace Amari.Training;

/// <summary>One evaluation during a run.</summary>
/// <param name="Step">Optimizer steps done.</param>
/// <param name="Seconds">Training time so far, evaluation not counted.</param>
/// <param name="Loss">Mean loss over the training set.</param>
public readonly record struct LossPoint(long Step, double Seconds, double Loss);

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

    /// <summary>What K-FAC chose to keep to its <see cref="Kfac.Options.CurvatureTimeFraction"/>; null without one.</summary>
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

/// <summary>The result of <c>compare</c>: all runs on one workload.</summary>
/// <param name="Workload">Its name.</param>
/// <param name="Metric">The name of the metric beside the loss.</param>
/// <param name="Target">What the runs were timed to.</param>
/// <param name="Budget">How long each run trained.</param>
/// <param name="Runs">In the order asked for; several seeds of an optimizer follow one another.</param>
/// <param name="Trials">All tuning trials, if the optimizers were tuned.</param>
public sealed record BenchmarkResult(
    string Workload,
    string Metric,
    Target Target,
    Budget Budget,
    IReadOnlyList<TrainingRun> Runs,
    IReadOnlyList<Trial> Trials
);

/// <summary>One tuning trial.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Options">The settings that were tried.</param>
/// <param name="Budget">How long it trained: successive halving gives the better ones more.</param>
/// <param name="Loss">The loss it ended at; NaN when it diverged or failed.</param>
public sealed record Trial(string Optimizer, IReadOnlyDictionary<string, string> Options, Budget Budget, double Loss)
{
    /// <summary>How it ended.</summary>
    public RunStatus Status { get; init; }

    /// <summary>The exception that ended it; null unless its status is <see cref="RunStatus.Failed"/>.</summary>
    public Exception? Failure { get; init; }
}

/// <summary>What a run tells while it trains.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Seed">The run's seed.</param>
/// <param name="Stage">What is going on, e.g. <c>tuning 3/8</c>; empty for the measured run.</param>
/// <param name="Step">Steps done.</param>
/// <param name="Seconds">Training time so far.</param>
/// <param name="Fraction">Share of the budget used, 0..1.</param>
/// <param name="BatchLoss">Loss of the newest batch.</param>
/// <param name="Loss">Loss at the last evaluation.</param>
/// <param name="Metric">Metric at the last evaluation.</param>
/// <param name="MillisecondsPerStep">Recent time of a step.</param>
/// <param name="SecondsLeft">Estimated training time left of this run.</param>
/// <param name="Evaluated">Whether this report comes from an evaluation.</param>
public readonly record struct RunProgress(
    string Optimizer,
    int Seed,
    string Stage,
    long Step,
    double Seconds,
    double Fraction,
    double BatchLoss,
    double Loss,
    double Metric,
    double MillisecondsPerStep,
    double SecondsLeft,
    bool Evaluated
)
{
    /// <summary>How the run ended; null while it trains.</summary>
    public RunStatus? Status { get; init; }
}
