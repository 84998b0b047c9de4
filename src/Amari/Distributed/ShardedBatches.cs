using Amari.Native;

namespace Amari.Distributed;

/// <summary>Which examples each rank takes: every epoch has its own permutation, cut into global batches, and those into one part a
/// rank.</summary>
/// <remarks>Over the ranks, an epoch has every example once, whatever their number: none is lost and none comes twice. Parts of a batch
/// differ by one example at most. The order depends on nothing but the seed and the epoch; what one process takes at a step, N take
/// together.</remarks>
/// <param name="examples">In the data set, ≥ 1.</param>
/// <param name="batchSize">Of all ranks together, ≥ 1.</param>
/// <param name="seed">Of the permutations.</param>
/// <param name="rank">This rank, in [0, ranks).</param>
/// <param name="ranks">How many there are, ≥ 1.</param>
/// <param name="dropLast">Whether the smaller batch at the end of an epoch is left out; without it, some ranks may have no example of that
/// batch.</param>
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

    /// <summary>Steps of an epoch, the same on every rank.</summary>
    public long StepsPerEpoch => dropLast ? _examples / _batchSize : ((long)_examples + _batchSize - 1) / _batchSize;

    /// <summary>This rank's examples of a step: rows of the data set. Valid until the next call.</summary>
    /// <param name="step">From 0, counted over epochs.</param>
    public ReadOnlySpan<int> Rows(long step)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        var batch = Batch(step);
        var part = Part(step);
        return batch.Slice((int)part.Start, (int)part.Length);
    }

    /// <summary>Where this rank's examples lie in the whole batch of a step: for <see cref="Optimizer.BatchPart"/>.</summary>
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
