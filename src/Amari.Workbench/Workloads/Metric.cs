using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

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
