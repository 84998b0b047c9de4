using Amari.Workloads;

namespace Amari.Training;

/// <summary>A part of a comparison: the warm-up, a trial or a run of an optimizer.</summary>
/// <param name="Workload">The workload's name.</param>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Budget">Its length; of a warm-up the longest.</param>
/// <param name="IsWarmUp">Whether it is a warm-up.</param>
internal readonly record struct WorkPart(string Workload, string Optimizer, Budget Budget, bool IsWarmUp = false)
{
    /// <summary>Seconds or epochs.</summary>
    public double Amount => Budget.Seconds ?? Budget.Epochs!.Value;

    /// <summary>Whether seconds per <see cref="Amount"/> compare.</summary>
    public bool IsLike(WorkPart other) => IsWarmUp == other.IsWarmUp && Budget.Seconds is null == other.Budget.Seconds is null;
}
