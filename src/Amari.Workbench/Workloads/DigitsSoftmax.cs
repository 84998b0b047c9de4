using Amari.Curvature;
using Amari.Optimizers;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>The embedded digits with softmax regression 64-10 and the whole training set as one batch: convex, and small enough for dense
/// matrices.</summary>
public sealed class DigitsSoftmax : Workload
{
    /// <inheritdoc/>
    public override string Name => "digits-softmax";

    /// <inheritdoc/>
    public override string Description => "1,437 digits of 8x8 pixels in one batch, softmax regression 64-10, 650 parameters";

    /// <inheritdoc/>
    public override int BatchSize => 1437;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new Categorical();

    /// <inheritdoc/>
    public override Metric Metric => Metric.Accuracy;

    /// <inheritdoc/>
    public override Target Target => new("loss", 0.01);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(10);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["sgd"] = new Dictionary<string, string> { ["LearningRate"] = "3" },
            ["adam"] = new Dictionary<string, string> { ["LearningRate"] = "0.05" },
            ["adamw"] = new Dictionary<string, string> { ["LearningRate"] = "0.05", ["WeightDecay"] = "0" },
            ["lion"] = new Dictionary<string, string> { ["LearningRate"] = "0.01" },
            ["kfac"] = new Dictionary<string, string>
            {
                ["Step.KlClip"] = "1",
                ["Step.Momentum"] = "0.9",
                ["Curvature.Fisher"] = "Empirical",
            },
            ["newton"] = new Dictionary<string, string> { ["Damping"] = "1e-5" },
            ["saddle-free-newton"] = new Dictionary<string, string> { ["Damping"] = "1e-5" },
            ["hessian-free"] = new Dictionary<string, string> { ["Damping"] = "1e-2" },
            ["natural-gradient"] = new Dictionary<string, string> { ["Damping"] = "1e-4" },
        };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory) => Digits.Load();

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel() => nn.Sequential(("flatten", nn.Flatten()), ("fc", nn.Linear(64, 10)));
}
