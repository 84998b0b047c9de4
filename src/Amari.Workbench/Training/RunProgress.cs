using Amari.Workloads;

namespace Amari.Training;

/// <summary>The progress of a run.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Seed">The run's seed.</param>
/// <param name="Stage">The stage, such as <c>tuning 3/8</c>; empty for the measured run.</param>
/// <param name="Step">Completed steps.</param>
/// <param name="Seconds">Training time so far.</param>
/// <param name="Fraction">Share of the budget used, 0..1.</param>
/// <param name="BatchLoss">Loss of the newest batch.</param>
/// <param name="Loss">Loss at the last evaluation.</param>
/// <param name="Metric">Metric at the last evaluation.</param>
/// <param name="MillisecondsPerStep">Milliseconds per step, from recent steps.</param>
/// <param name="SecondsLeft">Estimated training time left of this run.</param>
/// <param name="Evaluated">Whether this report has a new evaluation. Each evaluation is reported once.</param>
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
    /// <summary>The name of the workload.</summary>
    public string Workload { get; init; } = "";

    /// <summary>The name of the metric.</summary>
    public string MetricName { get; init; } = "";

    /// <summary>Held-out loss at the last evaluation; null without held-out data.</summary>
    public double? HeldOutLoss { get; init; }

    /// <summary>The learning rate of the next step at the last evaluation.</summary>
    public double LearningRate { get; init; } = double.NaN;

    /// <summary>How the run ended; null while it trains.</summary>
    public RunStatus? Status { get; init; }

    /// <summary>Estimated seconds until the whole comparison ends: remaining warm-ups, trials and runs with their evaluations. Null for a
    /// single run, and as long as there is nothing to estimate them from.</summary>
    public double? AllSecondsLeft { get; init; }

    /// <summary>All results so far, with this run as it is now. To be called during the report only, on its thread, where it only copies
    /// what changes. Any thread may read the results, at any time.</summary>
    internal Func<Lazy<BenchmarkResult>>? SoFar { get; init; }
}
