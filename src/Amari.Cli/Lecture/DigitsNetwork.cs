using Amari.Curvature;
using Amari.Workloads.Data;

namespace Amari.Cli.Lecture;

/// <summary>The digits' training set with a small tanh network for the experiments. Initialised from torch's generator.</summary>
internal sealed class DigitsNetwork : IDisposable
{
    /// <param name="type">Float64 for curvature, float32 for fast training.</param>
    /// <param name="examples">Number of examples, from the first of 1,437.</param>
    /// <param name="widths">Widths of the layers, from the 64 pixels to the 10 classes.</param>
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

    /// <summary>Trains on batches in the order of the data.</summary>
    /// <param name="optimizer">An optimizer of <see cref="Model"/>.</param>
    /// <param name="steps">Number of steps.</param>
    /// <param name="batch">Examples per step, at most all.</param>
    /// <param name="scale">A factor of the loss, and so of every gradient.</param>
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
