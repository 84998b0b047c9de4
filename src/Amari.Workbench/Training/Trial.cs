using Amari.Workloads;

namespace Amari.Training;

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
