using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>The data of a workload. Owns both sets.</summary>
/// <param name="Train">Trained on.</param>
/// <param name="Test">Held out for the metric; null where the metric is of what the loss is of, too.</param>
/// <param name="Measured">The part of the training set that the loss of reports and targets is the mean over; null for all of it.</param>
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
