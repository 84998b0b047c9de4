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
    /// <param name="name">The name in tables, such as <c>error</c>.</param>
    /// <param name="higherIsBetter">Whether a higher value is better.</param>
    /// <param name="ofModel"><see cref="OfModel"/>.</param>
    public Metric(string name, bool higherIsBetter, Func<nn.Module<Tensor, Tensor>, double> ofModel)
        : this(name, higherIsBetter, (output, _) => tensor(double.NaN, device: output.device)) => OfModel = ofModel;

    /// <summary>The value for a model, in place of a mean over examples, such as its error against a known solution; not finite if it is
    /// unknown. Null for a metric over examples.</summary>
    /// <remarks>It is measured in evaluation mode without gradients, by the first rank only. It counts as held-out: a target may use it
    /// although there are no held-out examples. Tuning trials are judged by the loss of validation examples; by it
    /// only where there are none.</remarks>
    public Func<nn.Module<Tensor, Tensor>, double>? OfModel { get; init; }

    /// <summary>The number of summands in <see cref="Sum"/> for a batch, from (output, target); null for the number of examples.</summary>
    public Func<Tensor, Tensor, long>? Count { get; init; }

    /// <summary>The lowest and the highest value that it can have; null if they are unknown.</summary>
    internal (double Low, double High)? Range { get; init; }

    /// <summary>Share of positions where the largest logit is at the label: outputs [n, C] or [n, r.., C], labels [n] or [n, r..].
    /// Positions with the label -100 are ignored.</summary>
    public static Metric Accuracy { get; } =
        new("accuracy", true, (output, label) => output.argmax(-1).eq(label).sum())
        {
            Count = (output, label) => new Categorical().Terms(output, label),
            Range = (0, 1),
        };
}
