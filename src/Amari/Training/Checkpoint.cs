using System.Globalization;

namespace Amari.Training;

/// <summary>The state of a training run after a step: a safetensors file with a checksum and the step.</summary>
/// <remarks>The object owns its tensors: dispose it. They lie on the CPU and belong to no dispose scope.</remarks>
public sealed class Checkpoint : IDisposable
{
    private const string StepKey = "step";

    /// <summary>Before the names of a model's tensors.</summary>
    internal const string ModelPrefix = "model.";

    private readonly Safetensors content;

    private Checkpoint(long step, Safetensors content, IReadOnlyDictionary<string, string> metadata)
    {
        Step = step;
        this.content = content;
        Metadata = metadata;
    }

    /// <summary>Steps done, ≥ 0.</summary>
    public long Step { get; }

    /// <summary>The tensors by the names they were saved under.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => content.Tensors;

    /// <summary>The strings they were saved with.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads one checkpoint, whatever its file is called; the caller disposes it.</summary>
    /// <exception cref="InvalidDataException">The file is damaged or no checkpoint; the message names it and says why.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Checkpoint Load(string file)
    {
        var content = Safetensors.Load(file);
        var metadata = new Dictionary<string, string>(content.Metadata);
        // Without a checksum nothing vouches for the numbers: damage to the checksum's own key must not pass either.
        if (content.HasChecksum && metadata.Remove(StepKey, out var text)
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var step))
            return new(step, content, metadata);
        content.Dispose();
        throw new InvalidDataException($"{file} is not a checkpoint: it states no checksum or no step.");
    }

    /// <summary>Reads a checkpoint file, or the newest valid checkpoint of a run's folder; the caller disposes it.</summary>
    /// <exception cref="FileNotFoundException">There is no such file, or no checkpoint in the folder.</exception>
    /// <exception cref="InvalidDataException">The file, or every file of the folder, is damaged; the message says why.</exception>
    public static Checkpoint Open(string path)
    {
        if (!Directory.Exists(path)) return File.Exists(path) ? Load(path) : throw new FileNotFoundException($"There is no checkpoint '{path}'.");
        return new CheckpointDirectory(path).Load(out var refused)
            ?? throw (refused.Count > 0 ? new InvalidDataException(refused[0]) : new FileNotFoundException($"'{path}' holds no checkpoint."));
    }

    /// <summary>Puts the saved weights and buffers into a model.</summary>
    /// <exception cref="InvalidDataException">The checkpoint is of another model; the message names the tensor. The model is then unchanged.</exception>
    public void CopyTo(nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var state = model.state_dict();
        foreach (var (name, tensor) in state)
            if (!Tensors.TryGetValue(ModelPrefix + name, out var saved) || !saved.shape.AsSpan().SequenceEqual(tensor.shape))
                throw new InvalidDataException($"The checkpoint has {(saved is null ? $"no '{name}'" : $"'{name}' of shape [{string.Join(", ", saved.shape)}]")}; the model's is [{string.Join(", ", tensor.shape)}].");
        using var off = no_grad();
        foreach (var (name, tensor) in state) tensor.copy_(Tensors[ModelPrefix + name]);
    }

    /// <summary>Writes one checkpoint atomically.</summary>
    internal static void Save(
        string file, long step, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        if (metadata.ContainsKey(StepKey))
            throw new ArgumentException($"The metadata entry {StepKey} is reserved.", nameof(metadata));
        Safetensors.Save(file, tensors, new Dictionary<string, string>(metadata)
        {
            [StepKey] = step.ToString(CultureInfo.InvariantCulture),
        });
    }

    /// <summary>Disposes the tensors.</summary>
    public void Dispose() => content.Dispose();
}
