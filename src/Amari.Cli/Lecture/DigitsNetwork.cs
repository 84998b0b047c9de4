using Amari.Curvature;
using Amari.Workloads.Data;

namespace Amari.Cli.Lecture;

/// <summary>The digits' training part with a small tanh network: what the experiments train. Initialised by torch's generator.</summary>
internal sealed class DigitsNetwork : IDisposable
{
    /// <param name="type">Float64 for curvature, float32 for training at speed.</param>
    /// <param name="examples">The first so many of 1,437.</param>
    /// <param name="widths">From the 64 pixels to the 10 classes.</param>
    public DigitsNetwork(ScalarType type, int examples, params IReadOnlyList<int> widths)
    {
        using var scope = NewDisposeScope();
        var train = Digits.Load().Train;
        Inputs = train.Inputs.narrow(0, 0, examples).reshape(examples, -1).to(type).DetachFromDisposeScope();
        Targets = train.Targets.narrow(0, 0, examples).clone().DetachFromDisposeScope();
        var layers = new List<(string, nn.Module<Tensor, Tensor>)>();
        for (int i = 1; i < widths.Count; i++)
        {
            layers.Add(($"fc{i}", nn.Linear(widths[i - 1], widths[i])));
            if (i < widths.Count - 1)
                layers.Add(($"tanh{i}", nn.Tanh()));
        }
        Model = nn.Sequential(layers).to(type);
        Objective = new Objective(Model, Likelihood, [(Inputs, Targets)]);
    }

    public Sequential Model { get; }
    public Likelihood Likelihood { get; } = new Categorical();

    /// <summary>[n, 64].</summary>
    public Tensor Inputs { get; }

    /// <summary>[n].</summary>
    public Tensor Targets { get; }

    /// <summary>The mean loss over all examples.</summary>
    public Objective Objective { get; }

    /// <summary>Steps on batches in the order of the data.</summary>
    /// <param name="optimizer">Of <see cref="Model"/>.</param>
    /// <param name="steps">How many.</param>
    /// <param name="batch">Examples of a step, at most all.</param>
    /// <param name="scale">The loss, and so every gradient, is multiplied by it.</param>
    public void Train(Optimizer optimizer, int steps, int batch, double scale = 1)
    {
        long batches = Inputs.shape[0] / batch;
        for (int i = 0; i < steps; i++)
        {
            using var scope = NewDisposeScope();
            long start = i % batches * batch;
            optimizer.zero_grad();
            var loss = Likelihood.Loss(Model.call(Inputs.narrow(0, start, batch)), Targets.narrow(0, start, batch));
            (loss * scale).backward();
            optimizer.step();
        }
    }

    public void Dispose()
    {
        Model.Dispose();
        Inputs.Dispose();
        Targets.Dispose();
    }
}
