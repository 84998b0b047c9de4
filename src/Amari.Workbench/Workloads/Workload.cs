using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>A problem to train on: data + model + likelihood + metric + target. Derive from it, with a parameterless constructor,
/// to run your own under <c>amari compare --assembly My.dll</c>.</summary>
public abstract class Workload
{
    /// <summary>The name on the command line: lower case, hyphens.</summary>
    public abstract string Name { get; }

    /// <summary>One line: the data, the network, its size.</summary>
    public abstract string Description { get; }

    /// <summary>Examples in a training batch.</summary>
    public abstract int BatchSize { get; }

    /// <summary>p(y | f): gives the training loss (the mean negative log-likelihood of a batch) and the Fisher of K-FAC.</summary>
    public abstract Likelihood Likelihood { get; }

    /// <summary>What is reported beside the loss.</summary>
    public abstract Metric Metric { get; }

    /// <summary>The loss that a run is timed to.</summary>
    public abstract Target Target { get; }

    /// <summary>How long a run trains when the command does not say.</summary>
    public abstract Budget DefaultBudget { get; }

    /// <summary>Loads the data. The caller disposes it.</summary>
    /// <param name="directory">Where the user said the files are, or null to look in the usual places.</param>
    /// <exception cref="FileNotFoundException">The files are missing; the message says how to get them.</exception>
    public abstract WorkloadData Load(string? directory);

    /// <summary>A fresh model with random weights drawn from torch's generator. The caller disposes it.</summary>
    public abstract nn.Module<Tensor, Tensor> CreateModel();

    /// <summary>Settings per optimizer name that are good here, as on the command line (<c>LearningRate=0.1</c>); found by tuning.
    /// What is missing takes the optimizer's own defaults.</summary>
    public virtual IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>();
}

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

/// <summary>A figure of merit beside the loss.</summary>
/// <param name="Name">As in tables: <c>accuracy</c>.</param>
/// <param name="HigherIsBetter">Which way is up.</param>
/// <param name="Sum">Its sum over a batch from (output, target), a scalar tensor; reports divide by the number of what it is summed
/// over.</param>
public sealed record Metric(string Name, bool HigherIsBetter, Func<Tensor, Tensor, Tensor> Sum)
{
    /// <summary>How many terms of a batch <see cref="Sum"/> is over, from (output, target); null for its examples.</summary>
    public Func<Tensor, Tensor, long>? Count { get; init; }

    /// <summary>Share of positions whose largest logit is the label: outputs [n, C] or [n, r.., C], labels [n] or [n, r..]. Those labelled
    /// -100 do not count.</summary>
    public static Metric Accuracy { get; } =
        new("accuracy", true, (output, label) => output.argmax(-1).eq(label).sum())
        {
            Count = (output, label) => new Categorical().Terms(output, label),
        };
}

/// <summary>The value that a run is timed to.</summary>
/// <param name="Metric">What is compared: <see cref="Loss"/>; a <see cref="Trainer"/> refuses any other.</param>
/// <param name="Value">Reached when the loss is at or below it; finite.</param>
public sealed record Target(string Metric, double Value)
{
    /// <summary>The mean loss over the training set, or its measured part.</summary>
    public const string Loss = "loss";
}
