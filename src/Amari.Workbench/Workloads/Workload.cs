using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>A problem to train on: data + model + likelihood + metric + target. Derive from it, with a parameterless constructor,
/// to run your own under <c>amari compare --assembly My.dll</c>.</summary>
public abstract class Workload
{
    /// <summary>The name on the command line: lower case, hyphens.</summary>
    public abstract string Name { get; }

    /// <summary>One line: the data, the network, its size.</summary>
    public abstract string Description { get; }

    /// <summary>Examples in a training batch.</summary>
    public abstract int BatchSize { get; }

    /// <summary>p(y | f): gives the training loss (the mean negative log-likelihood of a batch) and the Fisher of K-FAC.</summary>
    public abstract Likelihood Likelihood { get; }

    /// <summary>What is reported beside the loss.</summary>
    public abstract Metric Metric { get; }

    /// <summary>The loss that a run is timed to.</summary>
    public abstract Target Target { get; }

    /// <summary>How long a run trains when the command does not say.</summary>
    public abstract Budget DefaultBudget { get; }

    /// <summary>Loads the data. The caller disposes it.</summary>
    /// <param name="directory">Where the user said the files are, or null to look in the usual places.</param>
    /// <exception cref="FileNotFoundException">The files are missing; the message says how to get them.</exception>
    public abstract WorkloadData Load(string? directory);

    /// <summary>A fresh model with random weights drawn from torch's generator. The caller disposes it.</summary>
    public abstract nn.Module<Tensor, Tensor> CreateModel();

    /// <summary>Settings per optimizer name that are good here, as on the command line (<c>LearningRate=0.1</c>); found by tuning.
    /// What is missing takes the optimizer's own defaults.</summary>
    public virtual IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>();
}
