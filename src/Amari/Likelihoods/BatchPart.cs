namespace Amari.Distributed;

/// <summary>The position of a rank's examples in the batch of all ranks. Random draws for them then equal those of one process with the
/// whole batch.</summary>
/// <param name="Start">Index of the first example, ≥ 0.</param>
/// <param name="Length">Number of examples, ≥ 0.</param>
/// <param name="Batch">Examples of all ranks, ≥ <paramref name="Start"/> + <paramref name="Length"/>.</param>
public readonly record struct BatchPart(long Start, long Length, long Batch)
{
    /// <summary>A rank's part of a batch that is split as evenly as possible, as <see cref="ShardedBatches"/> does.</summary>
    /// <param name="batch">Number of examples, ≥ 0.</param>
    /// <param name="rank">In [0, <paramref name="ranks"/>).</param>
    /// <param name="ranks">≥ 1.</param>
    public static BatchPart Of(long batch, int rank, int ranks)
    {
        long start = batch * rank / ranks;
        return new(start, batch * (rank + 1) / ranks - start, batch);
    }

    /// <summary>The same counted in rows of which every example has as many; null where they do not divide evenly.</summary>
    /// <param name="rows">Of this rank's examples together.</param>
    internal BatchPart? InRows(long rows) =>
        Length > 0 && rows % Length == 0 && rows / Length is var each ? new(Start * each, rows, Batch * each) : null;

    internal BatchPart Checked() =>
        Start >= 0 && Length >= 0 && Start + Length <= Batch
            ? this
            : throw new ArgumentOutOfRangeException(
                nameof(Start),
                $"The part has {Length} examples from index {Start}; both must be at least 0 and it must end within the batch of {Batch}."
            );
}
