using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>A training problem: data, model, likelihood, metric and target. Derive from it, with a parameterless constructor, to run your
/// own with <c>amari compare --assembly My.dll</c>.</summary>
public abstract class Workload
{
    /// <summary>The name on the command line: lower case with hyphens.</summary>
    public abstract string Name { get; }

    /// <summary>One line: the data, the network and its size.</summary>
    public abstract string Description { get; }

    /// <summary>Examples per training batch.</summary>
    public abstract int BatchSize { get; }

    /// <summary>p(y | f): defines the training loss (the mean negative log-likelihood of a batch) and the Fisher of K-FAC.</summary>
    public abstract Likelihood Likelihood { get; }

    /// <summary>The metric that is reported in addition to the loss.</summary>
    public abstract Metric Metric { get; }

    /// <summary>The loss that defines the time to target.</summary>
    public abstract Target Target { get; }

    /// <summary>The length of a run if the command does not set it.</summary>
    public abstract Budget DefaultBudget { get; }

    /// <summary>Loads the data. The caller disposes it.</summary>
    /// <param name="directory">The directory that the user specified, or null for the default locations.</param>
    /// <exception cref="FileNotFoundException">The files are missing. The message says how to get them.</exception>
    public abstract WorkloadData Load(string? directory);

    /// <summary>A new model with random weights from torch's generator. The caller disposes it.</summary>
    public abstract nn.Module<Tensor, Tensor> CreateModel();

    /// <summary>Tuned settings per optimizer name, as on the command line (<c>LearningRate=0.1</c>). Missing settings take the optimizer's
    /// defaults.</summary>
    public virtual IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>();

    /// <summary>Whether defaults or search ranges of Amari's K-FAC were chosen by results on this workload. A comparison then states that
    /// it supports no claim for others.</summary>
    public virtual bool DefaultsChosenHere => false;
}
