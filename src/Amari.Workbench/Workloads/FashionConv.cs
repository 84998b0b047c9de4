using Amari.Curvature;
using Amari.Optimizers;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>Fashion-MNIST, or any directory of IDX files with MNIST's shapes, with a convolutional network.</summary>
public sealed class FashionConv : Workload
{
    private const int Measured = 10_000; // training images in the measured loss, evaluated every 39 steps

    /// <inheritdoc/>
    public override string Name => "fashion-conv";

    /// <inheritdoc/>
    public override string Description =>
        "Fashion-MNIST (60,000 images of 28x28), three 3x3 convolutions and two linear layers, 155,786 parameters";

    /// <inheritdoc/>
    public override int BatchSize => 256;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new Categorical();

    /// <inheritdoc/>
    public override Metric Metric => Metric.Accuracy;

    /// <inheritdoc/>
    public override Target Target => new(Metric.Name, 0.88);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(60);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["kfac"] = new Dictionary<string, string>
            {
                ["Damping"] = "3e-4",
                ["Step.Momentum"] = "0.2",
                ["Curvature.Fisher"] = "Empirical",
                ["Curvature.Refresh.FactorInterval"] = "10",
                ["Curvature.FactorBatchSize"] = "128",
                ["Curvature.Refresh.InverseInterval"] = "100",
                ["Curvature.Refresh.Warmup"] = "none",
            },
            ["routed-kfac"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.Damping"] = "3e-4",
                ["MatrixOptimizer.Step.Momentum"] = "0.2",
                ["MatrixOptimizer.Curvature.Fisher"] = "Empirical",
                ["MatrixOptimizer.Curvature.Refresh.FactorInterval"] = "10",
                ["MatrixOptimizer.Curvature.FactorBatchSize"] = "128",
                ["MatrixOptimizer.Curvature.Refresh.InverseInterval"] = "100",
                ["MatrixOptimizer.Curvature.Refresh.Warmup"] = "none",
            },
            ["adamw"] = new Dictionary<string, string> { ["WeightDecay"] = "0" },
            ["lion"] = new Dictionary<string, string> { ["LearningRate"] = "3e-4" },
            ["sgd"] = new Dictionary<string, string> { ["LearningRate"] = "0.05" },
        };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory)
    {
        var data = FashionMnist.Load(directory);
        return data with { Measured = data.Train.Sample(Measured, seed: 0) };
    }

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel() =>
        nn.Sequential(
            ("conv1", nn.Conv2d(1, 16, 3, stride: 2, padding: 1)),
            ("relu1", nn.ReLU()), // [n, 16, 14, 14]
            ("conv2", nn.Conv2d(16, 32, 3, stride: 2, padding: 1)),
            ("relu2", nn.ReLU()), // [n, 32, 7, 7]
            ("conv3", nn.Conv2d(32, 64, 3, stride: 2, padding: 1)),
            ("relu3", nn.ReLU()), // [n, 64, 4, 4]
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(1024, 128)),
            ("relu4", nn.ReLU()),
            ("fc2", nn.Linear(128, 10))
        );
}
