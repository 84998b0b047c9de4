using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>A deep autoencoder of the embedded digits, 64-128-64-32-8-32-64-128-64, tanh, linear code, sigmoid cross-entropy: the
/// <see cref="Autoencoder"/> in small. Its loss is ill-conditioned, so that curvature counts.</summary>
/// <remarks>The loss is summed over the 64 pixels of an example. Weights are Glorot normal, biases zero.</remarks>
public sealed class DigitsAutoencoder : Workload
{
    private static readonly int[] Sizes = [64, 128, 64, 32, 8, 32, 64, 128, 64];
    private const int Code = 4;

    /// <inheritdoc/>
    public override string Name => "digits-autoencoder";

    /// <inheritdoc/>
    public override string Description => "1,437 digits of 8x8 pixels, autoencoder 64-128-64-32-8-32-64-128-64 (tanh), 37,768 parameters";

    /// <inheritdoc/>
    public override int BatchSize => 128;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new Bernoulli();

    /// <inheritdoc/>
    public override Metric Metric { get; } = new("squared error", false, (f, x) => f.sigmoid().sub_(x).square().sum());

    /// <inheritdoc/>
    public override Target Target => new(Target.HeldOutLoss, 22);

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(3);

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory)
    {
        using var digits = Digits.Load();
        return new(Images(digits.Train), Images(digits.Test!));

        static Dataset Images(Dataset set)
        {
            var x = set.Inputs.flatten(1).clone();
            return new(x, x.alias());
        }
    }

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel()
    {
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (int i = 1; i < Sizes.Length; i++)
        {
            var layer = nn.Linear(Sizes[i - 1], Sizes[i]);
            nn.init.xavier_normal_(layer.weight!);
            nn.init.zeros_(layer.bias!);
            layers.Add(($"fc{i}", layer));
            if (i != Code && i != Sizes.Length - 1)
                layers.Add(($"tanh{i}", nn.Tanh()));
        }
        return nn.Sequential(layers);
    }
}
