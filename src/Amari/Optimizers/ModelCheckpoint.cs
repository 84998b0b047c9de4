using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>Checkpoints of a model and its optimizer, in one file: after a kill, both are of the same step.</summary>
public static class ModelCheckpoint
{
    private const string OptimizerPrefix = "optimizer.",
        OptimizerKey = "optimizer"; // of the values of its state

    /// <summary>Writes a checkpoint of a model and its optimizer, completely or not at all.</summary>
    /// <param name="directory">The folder.</param>
    /// <param name="step">Completed steps or epochs, ≥ 0. A checkpoint of the same step is replaced.</param>
    /// <param name="model">Not owned.</param>
    /// <param name="optimizer">Not owned.</param>
    /// <returns>The path of the file.</returns>
    /// <exception cref="IOException">The file system refused to write, or another process saves to the folder. Earlier checkpoints
    /// stay.</exception>
    public static string Save(this CheckpointDirectory directory, long step, nn.Module model, Optimizer optimizer)
    {
        ArgumentNullException.ThrowIfNull(directory);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(optimizer);
        using var scope = NewDisposeScope();
        var (tensors, metadata) = ContentOf(model, optimizer.Snapshot());
        return directory.Save(step, tensors, metadata);
    }

    /// <summary>Copies what <see cref="Save"/> or <c>amari train</c> wrote into a model and its optimizer, which then continue bit by
    /// bit.</summary>
    /// <param name="checkpoint">Not owned.</param>
    /// <param name="model">Receives weights and buffers.</param>
    /// <param name="optimizer">Receives its state and options.</param>
    /// <exception cref="InvalidDataException">The checkpoint belongs to another model, as for <see cref="Checkpoint.CopyTo"/>, and nothing
    /// is changed; or it has no state of an optimizer or one that does not fit, and the optimizer is unchanged.</exception>
    public static void CopyTo(this Checkpoint checkpoint, nn.Module model, Optimizer optimizer)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(optimizer);
        string values = ValuesOf(checkpoint);
        SavedState.RequireFinite(checkpoint.Tensors);
        checkpoint.CopyTo(model);
        Untrusted.Read("The optimizer's state", () => optimizer.Restore(new(StateOf(checkpoint), SavedState.Parse(values, OptimizerKey))));
    }

    /// <summary>A model and the state of its optimizer, as tensors and metadata of a checkpoint.</summary>
    internal static (Dictionary<string, Tensor> Tensors, Dictionary<string, string> Metadata) ContentOf(
        nn.Module model,
        OptimizerSnapshot snapshot
    )
    {
        var tensors = model.state_dict().ToDictionary(t => Checkpoint.ModelPrefix + t.Key, t => t.Value);
        foreach (var (name, tensor) in snapshot.Tensors)
            tensors[OptimizerPrefix + name] = tensor;
        return (tensors, new() { [OptimizerKey] = snapshot.Values.ToJsonString() });
    }

    /// <summary>The values of the optimizer's state, as JSON.</summary>
    /// <exception cref="InvalidDataException">There is no such state.</exception>
    internal static string ValuesOf(Checkpoint checkpoint) =>
        checkpoint.Metadata.TryGetValue(OptimizerKey, out string? values)
            ? values
            : throw new InvalidDataException("The checkpoint has no state of an optimizer.");

    /// <summary>The tensors of the optimizer's state, by their names there.</summary>
    internal static Dictionary<string, Tensor> StateOf(Checkpoint checkpoint) =>
        checkpoint
            .Tensors.Where(t => t.Key.StartsWith(OptimizerPrefix, StringComparison.Ordinal))
            .ToDictionary(t => t.Key[OptimizerPrefix.Length..], t => t.Value);
}
