using System.Globalization;

namespace Amari.Serialization;

/// <summary>The state of a training run after a step: a safetensors file with a checksum and the step number. Also the weights in a
/// file of another program.</summary>
/// <remarks>The object owns its tensors: dispose it. The tensors are on the CPU and in no dispose scope.</remarks>
/// <example><code>
/// using Amari.Serialization;
///
/// var model = nn.Linear(4, 3);
/// string file = Path.GetTempFileName();
/// Safetensors.Save(file, model.state_dict());             // as save_file of PyTorch's safetensors writes it
/// using (var checkpoint = Checkpoint.Open(file))          // or the folder of a run: its newest checkpoint
///     checkpoint.CopyTo(model);
/// File.Delete(file);
/// </code></example>
public sealed class Checkpoint : IDisposable
{
    private const string StepKey = "step";

    /// <summary>The metadata key of a run that saves itself and can be continued.</summary>
    internal const string RunKey = "run";

    /// <summary>The prefix of the names of a model's tensors.</summary>
    internal const string ModelPrefix = "model.";

    private const int MaxNamed = 5; // tensors that a message lists

    private readonly IDisposable content;

    private Checkpoint(
        long? step,
        IDisposable content,
        IReadOnlyDictionary<string, Tensor> tensors,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        (Step, IsWeights) = (step ?? 0, step is null);
        this.content = content;
        (Tensors, Metadata) = (tensors, metadata);
    }

    /// <summary>Completed steps, ≥ 0.</summary>
    public long Step { get; }

    /// <summary>Whether the file holds only weights, such as a <c>state_dict()</c> that PyTorch saved. Such a file has no step, or has a
    /// step but no checksum.</summary>
    public bool IsWeights { get; }

    /// <summary>The tensors by the names they were saved under.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors { get; }

    /// <summary>The metadata strings of the file.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Reads one checkpoint file of any name. The caller disposes it.</summary>
    /// <exception cref="InvalidDataException">The file is damaged or not a checkpoint. The message names the file and the
    /// reason.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Checkpoint Load(string file) => Of(file, Safetensors.Load(file), orWeights: false);

    private static Checkpoint Of(string file, Safetensors content, bool orWeights)
    {
        var metadata = new Dictionary<string, string>(content.Metadata);
        // Other programs also write a step. A file that a run saved is never taken for theirs, even without its checksum.
        bool ofRun = content.HasChecksum || metadata.ContainsKey(RunKey);
        if (orWeights && !(ofRun && metadata.ContainsKey(StepKey)))
            return new(null, content, content.Tensors, metadata);
        // Without a checksum nothing guarantees the numbers. Damage to the key of the checksum must be detected too.
        if (
            content.HasChecksum
            && metadata.Remove(StepKey, out var text)
            && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var step)
        )
            return new(step, content, content.Tensors, metadata);
        content.Dispose();
        throw new InvalidDataException($"{file} is not a checkpoint: it has no checksum or no step.");
    }

    /// <summary>Reads a checkpoint file, weights from another program, or the newest valid checkpoint of a run's folder. The caller
    /// disposes it.</summary>
    /// <param name="path">A folder, a safetensors file, or a file of PyTorch's <c>torch.save</c> that is a state dict or has a single one,
    /// as in a dictionary with the state of an optimizer.</param>
    /// <exception cref="FileNotFoundException">The file does not exist, or the folder holds no checkpoint.</exception>
    /// <exception cref="InvalidDataException">The file, or every file of the folder, is damaged. The message says why.</exception>
    public static Checkpoint Open(string path)
    {
        if (!Directory.Exists(path))
            return !File.Exists(path) ? throw new FileNotFoundException($"There is no checkpoint '{path}'.")
                : PyTorchFile.Is(path) ? OfPyTorch(PyTorchFile.Load(path))
                : Of(path, Safetensors.Load(path), orWeights: true);
        return new CheckpointDirectory(path).Load(out var refused)
            ?? throw (
                refused.Count > 0 ? new InvalidDataException(refused[0]) : new FileNotFoundException($"'{path}' holds no checkpoint.")
            );
    }

    private static Checkpoint OfPyTorch(PyTorchFile file)
    {
        try
        {
            return new(null, file, file.StateDict(), new Dictionary<string, string>());
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Copies the saved weights and buffers into a model. In a file that holds only weights, names may start with <c>model.</c> or
    /// not, and every tensor must belong to the model. Other floating-point types are converted.</summary>
    /// <exception cref="InvalidDataException">The checkpoint belongs to another model. The message lists tensors that are missing, that the
    /// model does not have, that have another shape, or that hold integers for floating-point numbers. The model is then
    /// unchanged.</exception>
    public void CopyTo(nn.Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var state = model.state_dict();
        bool plain = IsWeights && state.Keys.Count(Tensors.ContainsKey) >= state.Keys.Count(n => Tensors.ContainsKey(ModelPrefix + n));
        string prefix = plain ? "" : ModelPrefix;
        List<string> faults = [];
        Add("lacks", state.Keys.Where(n => !Tensors.ContainsKey(prefix + n)).Select(n => $"'{n}' {Shape(state[n])}"));
        Add(
            "has tensors that the model lacks:",
            Tensors
                .Where(t => (IsWeights || t.Key.StartsWith(prefix, StringComparison.Ordinal)) && !IsOfModel(t.Key))
                .Select(t => $"'{t.Key}' {Shape(t.Value)}")
        );
        Add(
            "has other shapes:",
            state
                .Where(s => Tensors.TryGetValue(prefix + s.Key, out var saved) && !saved.shape.AsSpan().SequenceEqual(s.Value.shape))
                .Select(s => $"'{prefix}{s.Key}' {Shape(Tensors[prefix + s.Key])} for {Shape(s.Value)}")
        );
        Add(
            "has integers in place of floating-point numbers:",
            state
                .Where(s => s.Value.is_floating_point() && Tensors.TryGetValue(prefix + s.Key, out var saved) && !saved.is_floating_point())
                .Select(s => $"'{prefix}{s.Key}' {Tensors[prefix + s.Key].dtype} for {s.Value.dtype}")
        );
        if (faults.Count > 0)
            throw new InvalidDataException(
                $"The {(IsWeights ? "file of weights" : "checkpoint")} does not belong to this model: it {string.Join("; it ", faults)}."
            );
        using var off = no_grad();
        foreach (var (name, tensor) in state)
            tensor.copy_(Tensors[prefix + name]);

        bool IsOfModel(string name) => name.StartsWith(prefix, StringComparison.Ordinal) && state.ContainsKey(name[prefix.Length..]);

        static string Shape(Tensor t) => $"[{string.Join(", ", t.shape)}]";

        void Add(string what, IEnumerable<string> tensors)
        {
            var all = tensors.ToList();
            string more = all.Count > MaxNamed ? $" and {all.Count - MaxNamed} more" : "";
            if (all.Count > 0)
                faults.Add($"{what} {string.Join(", ", all.Take(MaxNamed))}{more}");
        }
    }

    /// <summary>Writes one checkpoint atomically.</summary>
    internal static void Save(
        string file,
        long step,
        IReadOnlyDictionary<string, Tensor> tensors,
        IReadOnlyDictionary<string, string> metadata
    )
    {
        if (metadata.ContainsKey(StepKey))
            throw new ArgumentException($"The metadata entry {StepKey} is reserved.", nameof(metadata));
        Safetensors.Save(
            file,
            tensors,
            new Dictionary<string, string>(metadata) { [StepKey] = step.ToString(CultureInfo.InvariantCulture) }
        );
    }

    /// <summary>Disposes the tensors.</summary>
    public void Dispose() => content.Dispose();
}
