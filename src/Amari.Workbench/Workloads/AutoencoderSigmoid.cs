using Amari.Optimizers;

namespace Amari.Workloads;

/// <summary>The <see cref="Autoencoder"/> with logistic units, as in Hinton and Salakhutdinov (2006) and Martens (2010). It is harder,
/// because gradients shrink by a factor of at least four per layer.</summary>
/// <remarks>The initialisation is sparse (Martens 2010, §5): 15 standard normal weights per unit. With Glorot's, all units of a layer have
/// nearly equal outputs, and the loss stays at 206, that of the mean image: for over 100 steps with AdamW, longer with K-FAC.</remarks>
public sealed class AutoencoderSigmoid : Autoencoder
{
    /// <inheritdoc/>
    public override string Name => "autoencoder-sigmoid";

    /// <inheritdoc/>
    public override string Description =>
        "9,000 MNIST digits (1,000 held out), autoencoder 784-1000-500-250-30-250-500-1000-784 (sigmoid), 2,837,314 parameters";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["sgd"] = new Dictionary<string, string> { ["LearningRate"] = "3e-3" },
            ["adamw"] = new Dictionary<string, string> { ["LearningRate"] = "3e-3", ["WeightDecay"] = "0" },
            ["lion"] = new Dictionary<string, string> { ["LearningRate"] = "1e-4" },
            ["hessian-free"] = new Dictionary<string, string>
            {
                ["Damping"] = "10",
                ["ProgressTolerance"] = "5e-3",
                ["Preconditioner"] = "None",
            },
        };

    private protected override string ActivationName => "sigmoid";

    private protected override void Initialize(Parameter weight) => WeightInits.Sparse(weight);

    private protected override nn.Module<Tensor, Tensor> Activation() => nn.Sigmoid();
}
