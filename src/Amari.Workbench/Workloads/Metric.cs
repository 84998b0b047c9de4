using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>A metric that is reported in addition to the loss.</summary>
/// <param name="Name">The name in tables, such as <c>accuracy</c>.</param>
/// <param name="HigherIsBetter">Whether a higher value is better.</param>
/// <param name="Sum">The sum over a batch from (output, target), a scalar tensor. Reports divide it by the number of summands.</param>
public sealed record Metric(string Name, bool HigherIsBetter, Func<Tensor, Tensor, Tensor> Sum)
{
    /// <summary>The number of summands in <see cref="Sum"/> for a batch, from (output, target); null for the number of examples.</summary>
    public Func<Tensor, Tensor, long>? Count { get; init; }

    /// <summary>Share of positions where the largest logit is at the label: outputs [n, C] or [n, r.., C], labels [n] or [n, r..].
    /// Positions with the label -100 are ignored.</summary>
    public static Metric Accuracy { get; } =
        new("accuracy", true, (output, label) => output.argmax(-1).eq(label).sum())
        {
            Count = (output, label) => new Categorical().Terms(output, label),
        };
}
