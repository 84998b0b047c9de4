using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>Inputs and targets; the first dimension counts examples. Owns its tensors.</summary>
/// <param name="Inputs">[n, ...]</param>
/// <param name="Targets">[n, ...], as the likelihood wants them.</param>
public sealed record Dataset(Tensor Inputs, Tensor Targets) : IDisposable
{
    private const int Alignment = 64; // bytes

    /// <summary>[n, ...], as the likelihood wants them.</summary>
    public Tensor Targets { get; } = Matching(Inputs, Targets);

    /// <summary>How many examples.</summary>
    public long Count => Inputs.shape[0];

    private static Tensor Matching(Tensor inputs, Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        return inputs.dim() > 0 && targets.dim() > 0 && inputs.shape[0] == targets.shape[0]
            ? targets
            : throw new ArgumentException(
                $"The inputs are [{string.Join(", ", inputs.shape)}], the targets [{string.Join(", ", targets.shape)}]: "
                    + "the first dimension counts the examples of both.",
                nameof(targets)
            );
    }

    /// <summary>All examples in their order, so many at a time (the last batch may be smaller). The tensors are views that are disposed
    /// when the next is asked for.</summary>
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

    /// <summary>So many examples (at most all), drawn without replacement; a copy that the caller disposes.</summary>
    /// <param name="count">≥ 1.</param>
    /// <param name="seed">Of the draw.</param>
    public Dataset Sample(long count, int seed)
    {
        int[] order = [.. Enumerable.Range(0, (int)Count)];
        if (Require.AtLeast(1, (int)Math.Min(count, int.MaxValue)) < Count)
            new Random(seed).Shuffle(order);
        using var rows = tensor(order.AsSpan(0, (int)Math.Min(count, Count)).ToArray(), dtype: ScalarType.Int64);
        return new(Inputs.index_select(0, rows), Targets.index_select(0, rows));
    }

    /// <summary>The same, in memory that begins at a multiple of 64 bytes, as libtorch's does and an array of .NET may not: products of
    /// numbers that lie otherwise are rounded otherwise.</summary>
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
