using Amari.Native;

namespace Amari.Distributed;

/// <summary>The examples of each rank: every epoch has its own permutation, split into global batches, and each batch into one part per
/// rank.</summary>
/// <remarks>Over all ranks, an epoch contains every example once, for any number of ranks. The parts of a batch differ by at most one
/// example. The order depends only on the seed and the epoch: N ranks together take the examples that one process takes at a
/// step.</remarks>
/// <param name="examples">Examples in the data set, ≥ 1.</param>
/// <param name="batchSize">Examples per step over all ranks, ≥ 1.</param>
/// <param name="seed">Seed of the permutations.</param>
/// <param name="rank">This rank, in [0, ranks).</param>
/// <param name="ranks">Number of ranks, ≥ 1.</param>
/// <param name="dropLast">Whether to drop the smaller batch at the end of an epoch. If it is kept, some ranks may have no example of
/// it.</param>
public sealed class ShardedBatches(long examples, int batchSize, int seed, int rank = 0, int ranks = 1, bool dropLast = false)
{
    private readonly int _examples = (int)Require.AtLeast(1, Math.Min(examples, int.MaxValue), nameof(examples));
    private readonly int _batchSize = Require.AtLeast(1, batchSize, nameof(batchSize));
    private readonly int _ranks = Require.AtLeast(1, ranks, nameof(ranks));
    private readonly int _rank =
        rank >= 0 && rank < ranks
            ? rank
            : throw new ArgumentOutOfRangeException(nameof(rank), $"The rank is {rank}; it must be in [0, {ranks}).");
    private int[]? _order;
    private long _epoch = -1;

    /// <summary>Steps per epoch, the same on every rank.</summary>
    public long StepsPerEpoch => dropLast ? _examples / _batchSize : ((long)_examples + _batchSize - 1) / _batchSize;

    /// <summary>This rank's examples of a step, as rows of the data set. Valid until the next call.</summary>
    /// <param name="step">From 0, counted over epochs.</param>
    public ReadOnlySpan<int> Rows(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        var batch = Batch(step);
        var part = Part(step);
        return batch.Slice((int)part.Start, (int)part.Length);
    }

    /// <summary>The position of this rank's examples in the whole batch of a step, for <see cref="Optimizer.BatchPart"/>.</summary>
    /// <param name="step">From 0, counted over epochs.</param>
    public BatchPart Part(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        return BatchPart.Of(Math.Min(_batchSize, _examples - step % StepsPerEpoch * _batchSize), _rank, _ranks);
    }

    private ReadOnlySpan<int> Batch(long step)
    {
        long epoch = step / StepsPerEpoch,
            index = step % StepsPerEpoch;
        if (_order is null || epoch != _epoch)
        {
            _order = [.. Enumerable.Range(0, _examples)];
            new Random(unchecked((int)(seed * 1_000_003L + epoch))).Shuffle(_order);
            _epoch = epoch;
        }
        long start = index * _batchSize;
        return _order.AsSpan((int)start, (int)Math.Min(_batchSize, _examples - start));
    }
}
