using Amari.Workloads;

namespace Amari.Training;

/// <summary>One tuning trial.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Options">The options.</param>
/// <param name="Budget">The length: successive halving gives better trials more.</param>
/// <param name="Loss">The final loss; NaN if it diverged or failed.</param>
public sealed record Trial(string Optimizer, IReadOnlyDictionary<string, string> Options, Budget Budget, double Loss)
{
    /// <summary>How it ended.</summary>
    public RunStatus Status { get; init; }

    /// <summary>The exception that ended it; null unless its status is <see cref="RunStatus.Failed"/>.</summary>
    public Exception? Failure { get; init; }
}
