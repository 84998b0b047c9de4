using Amari.Optimizers;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>A regression on few and noisy data: a multi-layer perceptron 10-64-64-1, tanh, that overfits whatever trains it. The target is
/// the held-out loss of linear regression.</summary>
public sealed class DiabetesMlp : Workload
{
    /// <inheritdoc/>
    public override string Name => "diabetes-mlp";

    /// <inheritdoc/>
    public override string Description => "332 patients with 10 measurements, MLP 10-64-64-1 (tanh), 4,929 parameters; noisy data";

    /// <inheritdoc/>
    public override int BatchSize => 32;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new SquaredError();

    /// <inheritdoc/>
    public override Metric Metric { get; } =
        new("mean absolute error", false, (output, target) => output.sub(target).abs().sum().mul(Diabetes.Scale));

    /// <inheritdoc/>
    public override Target Target { get; } =
        new(Target.HeldOutLoss, 0.2253) { Origin = "the held-out loss of a linear model (linear regression)" };

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(2);

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory) => Diabetes.Load();

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel() =>
        nn.Sequential(
            ("fc1", nn.Linear(10, 64)),
            ("tanh1", nn.Tanh()),
            ("fc2", nn.Linear(64, 64)),
            ("tanh2", nn.Tanh()),
            ("fc3", nn.Linear(64, 1))
        );
}
