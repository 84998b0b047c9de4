using Amari.Curvature;
using Amari.Optimizers;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>The embedded digits with a small multi-layer perceptron 64-128-64-10, tanh.</summary>
public sealed class DigitsMlp : Workload
{
    /// <inheritdoc/>
    public override string Name => "digits-mlp";

    /// <inheritdoc/>
    public override string Description => "1,437 digits of 8x8 pixels, MLP 64-128-64-10 (tanh), 17,226 parameters";

    /// <inheritdoc/>
    public override int BatchSize => 128;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new Categorical();

    /// <inheritdoc/>
    public override Metric Metric => Metric.Accuracy;

    /// <inheritdoc/>
    public override Target Target => new(Metric.Name, 0.9);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(3);

    /// <inheritdoc/>
    public override bool DefaultsChosenHere => true;

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["sgd"] = new Dictionary<string, string> { ["LearningRate"] = "0.42", ["Momentum"] = "0.94" },
            ["adamw"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "1.7e-3",
                ["Beta1"] = "0.91",
                ["Beta2"] = "0.98",
                ["WeightDecay"] = "0",
            },
            ["lion"] = new Dictionary<string, string> { ["LearningRate"] = "1e-3" },
            ["soap"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "1e-2",
                ["Beta1"] = "0.96",
                ["Beta2"] = "0.97",
            },
            ["shampoo"] = new Dictionary<string, string> { ["LearningRate"] = "1.5e-2", ["Beta1"] = "0.94" },
            ["schedulefree-adamw"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "1e-2",
                ["Beta1"] = "0.96",
                ["Beta2"] = "0.986",
            },
            ["schedulefree-sgd"] = new Dictionary<string, string> { ["LearningRate"] = "2.7", ["Beta1"] = "0.96" },
            ["adahessian"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "7.5e-2",
                ["Beta1"] = "0.967",
                ["Beta2"] = "0.958",
            },
            ["lamb"] = new Dictionary<string, string> { ["LearningRate"] = "5e-3", ["Beta1"] = "0.82" },
            ["adafactor"] = new Dictionary<string, string> { ["LearningRate"] = "1.8e-2", ["DecayPower"] = "0.53" },
            ["routed-muon"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.LearningRate"] = "2.7e-2",
                ["MatrixOptimizer.Momentum"] = "0.82",
                ["Fallback.LearningRate"] = "8.5e-3",
            },
            ["routed-soap"] = new Dictionary<string, string>
            {
                ["MatrixOptimizer.LearningRate"] = "1.5e-2",
                ["Fallback.LearningRate"] = "2.4e-3",
            },
            ["hessian-free"] = new Dictionary<string, string> { ["ProgressTolerance"] = "5e-3", ["Preconditioner"] = "None" },
            ["natural-gradient"] = new Dictionary<string, string>
            {
                ["LearningRate"] = "0.3",
                ["Damping"] = "0.1",
                ["Fisher"] = "MonteCarlo",
            },
            ["lbfgs"] = new Dictionary<string, string> { ["LearningRate"] = "0.3", ["Iterations"] = "5" },
        };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory) => Digits.Load();

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel() =>
        nn.Sequential(
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(64, 128)),
            ("tanh1", nn.Tanh()),
            ("fc2", nn.Linear(128, 64)),
            ("tanh2", nn.Tanh()),
            ("fc3", nn.Linear(64, 10))
        );
}
