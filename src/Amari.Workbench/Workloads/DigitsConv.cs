using Amari.Optimizers;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>The embedded digits with a small convolutional network.</summary>
public sealed class DigitsConv : Workload
{
    /// <inheritdoc/>
    public override string Name => "digits-conv";

    /// <inheritdoc/>
    public override string Description =>
        "1,437 digits of 8x8 pixels, two 3x3 convolutions (16, 32 channels) and a linear layer, 9,930 parameters";

    /// <inheritdoc/>
    public override int BatchSize => 128;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new Categorical();

    /// <inheritdoc/>
    public override Metric Metric => Metric.Accuracy;

    /// <inheritdoc/>
    public override Target Target => new(Metric.Name, 0.92);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(5);

    /// <inheritdoc/>
    public override bool DefaultsChosenHere => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["adamw"] = new Dictionary<string, string> { ["LearningRate"] = "3e-3", ["WeightDecay"] = "0" },
            ["lion"] = new Dictionary<string, string> { ["LearningRate"] = "1e-3" },
        };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory) => Digits.Load();

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel() =>
        nn.Sequential(
            ("conv1", nn.Conv2d(1, 16, 3, padding: 1)),
            ("relu1", nn.ReLU()), // [n, 16, 8, 8]
            ("conv2", nn.Conv2d(16, 32, 3, stride: 2, padding: 1)),
            ("relu2", nn.ReLU()), // [n, 32, 4, 4]
            ("flatten", nn.Flatten()),
            ("fc", nn.Linear(512, 10))
        );
}
