using Amari.Workloads;

namespace Amari.Training;

/// <summary>One tuning trial.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Options">The options.</param>
/// <param name="Budget">The length: successive halving gives better trials more.</param>
/// <param name="Loss">The final loss on the validation part; NaN if it diverged or failed.</param>
public sealed record Trial(string Optimizer, IReadOnlyDictionary<string, string> Options, Budget Budget, double Loss)
{
    /// <summary>The workload's final metric on the validation part.</summary>
    public double Metric { get; init; } = double.NaN;

    /// <summary>The schedule of the learning rate.</summary>
    public Schedule Schedule { get; init; } = Schedule.Constant;

    /// <summary>How it ended.</summary>
    public RunStatus Status { get; init; }

    /// <summary>The exception that ended it; null unless its status is <see cref="RunStatus.Failed"/>.</summary>
    public Exception? Failure { get; init; }
}
