using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>Squared errors against unit vectors: labels as a problem of least squares, for the methods that take no other. Outputs [n, C],
/// targets [n].</summary>
public sealed class LabelSquares : Likelihood
{
    private readonly SquaredError _squares = new();

    internal override double? Precision => 1;

    /// <summary>What a method of the catalog can train with on labels.</summary>
    public static Likelihood For(string optimizer) =>
        OptimizerCatalog.Find(optimizer).Takes(new Categorical()) ? new Categorical() : new LabelSquares();

    /// <summary>A workload of labels, as a method of the catalog can train it.</summary>
    public static Workload For(string optimizer, Workload workload) =>
        OptimizerCatalog.Find(optimizer).Takes(workload.Likelihood) ? workload : new Squared(workload);

    /// <inheritdoc/>
    public override Tensor SumNegativeLogLikelihood(Tensor output, Tensor target) =>
        _squares.SumNegativeLogLikelihood(output, Units(output, target));

    /// <inheritdoc/>
    public override Tensor Sample(Tensor output, Generator? generator = null) => output.argmax(-1);

    /// <inheritdoc/>
    public override Tensor Score(Tensor output, Tensor target) => _squares.Score(output, Units(output, target));

    /// <inheritdoc/>
    public override Tensor FisherRootProduct(Tensor output, Tensor v) => v.clone();

    /// <inheritdoc/>
    public override Tensor FisherProduct(Tensor output, Tensor v) => v.clone();

    /// <inheritdoc/>
    public override Tensor KlDivergence(Tensor output, Tensor other) => _squares.KlDivergence(output, other);

    private static Tensor Units(Tensor output, Tensor target) => nn.functional.one_hot(target, output.shape[^1]).to_type(output.dtype);

    private sealed class Squared(Workload inner) : Workload
    {
        public override string Name => inner.Name;
        public override string Description => inner.Description;
        public override int BatchSize => inner.BatchSize;
        public override Likelihood Likelihood { get; } = new LabelSquares();
        public override Metric Metric => inner.Metric;
        public override Target Target => inner.Target;
        public override Budget DefaultBudget => inner.DefaultBudget;
        public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings => inner.Settings;

        public override WorkloadData Load(string? directory) => inner.Load(directory);

        public override nn.Module<Tensor, Tensor> CreateModel() => inner.CreateModel();
    }
}
