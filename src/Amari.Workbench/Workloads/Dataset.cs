using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>Inputs and targets with examples along the first dimension. Owns its tensors.</summary>
/// <param name="Inputs">[n, ...]</param>
/// <param name="Targets">[n, ...], in the form that the likelihood requires.</param>
public sealed record Dataset(Tensor Inputs, Tensor Targets) : IDisposable
{
    private const int Alignment = 64; // bytes

    /// <summary>[n, ...], in the form that the likelihood requires.</summary>
    public Tensor Targets { get; } = Matching(Inputs, Targets);

    /// <summary>Number of examples.</summary>
    public long Count => Inputs.shape[0];

    private static Tensor Matching(Tensor inputs, Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        return inputs.dim() > 0 && targets.dim() > 0 && inputs.shape[0] == targets.shape[0]
            ? targets
            : throw new ArgumentException(
                $"The inputs are [{string.Join(", ", inputs.shape)}], the targets [{string.Join(", ", targets.shape)}]: "
                    + "the first dimension, the number of examples, must be equal.",
                nameof(targets)
            );
    }

    /// <summary>All examples in order, in batches of a given size (the last may be smaller). The tensors are views, disposed when the next
    /// batch is requested.</summary>
    /// <param name="size">≥ 1.</param>
    public IEnumerable<(Tensor Inputs, Tensor Targets)> Batches(int size)
    {
        Require.AtLeast(1, size);
        for (long start = 0; start < Count; start += size)
        {
            using var x = Inputs.narrow(0, start, Math.Min(size, Count - start));
            using var y = Targets.narrow(0, start, Math.Min(size, Count - start));
            yield return (x, y);
        }
    }

    /// <summary>A random sample without replacement of at most all examples. It is a copy; the caller disposes it.</summary>
    /// <param name="count">≥ 1.</param>
    /// <param name="seed">Seed of the sample.</param>
    public Dataset Sample(long count, int seed)
    {
        int[] order = [.. Enumerable.Range(0, (int)Count)];
        if (Require.AtLeast(1, (int)Math.Min(count, int.MaxValue)) < Count)
            new Random(seed).Shuffle(order);
        return Rows(order[..(int)Math.Min(count, Count)]);
    }

    /// <summary>Copies of two disjoint random parts; the caller disposes them.</summary>
    /// <param name="count">Examples of the second part, fewer than all.</param>
    /// <param name="seed">Seed of the division.</param>
    internal (Dataset Remaining, Dataset Part) Split(long count, int seed)
    {
        int[] order = [.. Enumerable.Range(0, (int)Count)];
        new Random(seed).Shuffle(order);
        return (Rows([.. order.Skip((int)count).Order()]), Rows([.. order.Take((int)count).Order()]));
    }

    /// <summary>A copy; the caller disposes it.</summary>
    internal Dataset Copy() => new(Inputs.clone(), Targets.clone());

    private Dataset Rows(int[] rows)
    {
        using var index = tensor(rows, dtype: ScalarType.Int64);
        return new(Inputs.index_select(0, index), Targets.index_select(0, index));
    }

    /// <summary>A copy in memory aligned to 64 bytes, as libtorch allocates it and a .NET array may not be. Alignment changes the rounding
    /// of products.</summary>
    internal Dataset Aligned() => new(Aligned(Inputs), Aligned(Targets));

    private static Tensor Aligned(Tensor t)
    {
        if (LibTorch.DataPointer(t.Handle) % Alignment == 0)
            return t;
        var copy = t.clone();
        t.Dispose();
        return copy;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Inputs.Dispose();
        Targets.Dispose();
    }
}
