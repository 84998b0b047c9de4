using Amari.Curvature;
using Amari.Optimizers;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>The deep autoencoder of Hinton and Salakhutdinov (2006), a standard benchmark of second-order methods since Martens (2010):
/// 784-1000-500-250-30-250-500-1000-784, tanh, linear code, sigmoid cross-entropy.</summary>
/// <remarks>The loss is summed over the 784 pixels of an example. Weights are Glorot normal, biases zero. A random
/// tenth of the digits is the test set.</remarks>
public class Autoencoder : Workload
{
    private static readonly int[] Sizes = [784, 1000, 500, 250, 30, 250, 500, 1000, 784];
    private const int Code = 4;
    private const int Tested = 1000,
        Measured = 2560; // training examples in the measured loss

    /// <summary>The name prefix of the activation modules, which follow each layer except the code and the last.</summary>
    private protected virtual string ActivationName => "tanh";

    /// <summary>A new activation module; the caller owns it.</summary>
    private protected virtual nn.Module<Tensor, Tensor> Activation() => nn.Tanh();

    /// <summary>Initialises a weight.</summary>
    private protected virtual void Initialize(Parameter weight) => nn.init.xavier_normal_(weight);

    /// <inheritdoc/>
    public override string Name => "autoencoder";

    /// <inheritdoc/>
    public override string Description =>
        "9,000 MNIST digits (1,000 held out), autoencoder 784-1000-500-250-30-250-500-1000-784 (tanh), 2,837,314 parameters";

    /// <inheritdoc/>
    public override int BatchSize => 512;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new Bernoulli();

    /// <inheritdoc/>
    public override Metric Metric { get; } = new("squared error", false, (f, x) => f.sigmoid().sub_(x).square().sum());

    /// <inheritdoc/>
    public override Target Target => new(Target.HeldOutLoss, 90);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(60);

    /// <inheritdoc/>
    public override bool DefaultsChosenHere => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["sgd"] = new Dictionary<string, string> { ["LearningRate"] = "3e-3" },
            ["adamw"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "1.7e-3",
                ["Beta1"] = "0.91",
                ["Beta2"] = "0.98",
                ["WeightDecay"] = "0",
            },
            ["lion"] = new Dictionary<string, string> { ["LearningRate"] = "1e-4" },
            ["soap"] = new Dictionary<string, string> { ["LearningRate"] = "1e-2" },
            ["shampoo"] = new Dictionary<string, string> { ["LearningRate"] = "5e-3" },
            ["schedulefree-sgd"] = new Dictionary<string, string> { ["LearningRate"] = "5e-2" },
            ["sophia"] = new Dictionary<string, string> { ["LearningRate"] = "2e-4" },
            ["sophia-hutchinson"] = new Dictionary<string, string> { ["LearningRate"] = "2e-4" },
            ["adahessian"] = new Dictionary<string, string> { ["LearningRate"] = "2e-2" },
            ["lamb"] = new Dictionary<string, string> { ["LearningRate"] = "6e-3" },
            ["routed-muon"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.LearningRate"] = "5e-3",
                ["Fallback.LearningRate"] = "1e-3",
            },
            ["routed-soap"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.LearningRate"] = "1e-2",
                ["Fallback.LearningRate"] = "1e-3",
            },
            ["routed-kfac"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.LearningRate"] = "0.3",
                ["MatrixOptimizer.Damping"] = "0.3",
                ["MatrixOptimizer.Step.KlClip"] = "0.3",
                ["MatrixOptimizer.Step.Momentum"] = "0.9",
                ["MatrixOptimizer.Curvature.Fisher"] = "Empirical",
                ["MatrixOptimizer.Curvature.Refresh.FactorInterval"] = "10",
                ["MatrixOptimizer.Curvature.Refresh.InverseInterval"] = "40",
                ["MatrixOptimizer.Curvature.Refresh.Warmup"] = "none",
                ["Fallback.LearningRate"] = "1e-3",
            },
            ["hessian-free"] = new Dictionary<string, string>
            {
                ["Damping"] = "10",
                ["ProgressTolerance"] = "5e-3",
                ["Preconditioner"] = "None",
            },
        };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory)
    {
        using var digits = Mnist10k.Load();
        using var x = digits.Inputs.flatten(1);
        using var all = new Dataset(x, x.alias());
        var (train, test) = all.Split(Tested, seed: 0);
        return new(train, test, train.Sample(Measured, seed: 0));
    }

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel()
    {
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (int i = 1; i < Sizes.Length; i++)
        {
            var layer = nn.Linear(Sizes[i - 1], Sizes[i]);
            Initialize(layer.weight!);
            nn.init.zeros_(layer.bias!);
            layers.Add(($"fc{i}", layer));
            if (i != Code && i != Sizes.Length - 1)
                layers.Add(($"{ActivationName}{i}", Activation()));
        }
        return nn.Sequential(layers);
    }
}
