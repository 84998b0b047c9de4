using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>The data of a workload. Owns both sets.</summary>
/// <param name="Train">The training set.</param>
/// <param name="Test">The test set for the metric; null if the metric uses the same examples as the loss.</param>
/// <param name="Measured">The part of the training set over which reported losses are means; null for all of it.</param>
public sealed record WorkloadData(Dataset Train, Dataset? Test, Dataset? Measured = null) : IDisposable
{
    /// <inheritdoc cref="Dataset.Aligned()"/>
    internal WorkloadData Aligned() => new(Train.Aligned(), Test?.Aligned(), Measured?.Aligned());

    /// <inheritdoc/>
    public void Dispose()
    {
        Train.Dispose();
        Test?.Dispose();
        Measured?.Dispose();
    }
}
