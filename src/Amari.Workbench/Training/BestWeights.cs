using Amari.Serialization;

namespace Amari.Training;

/// <summary>The weights of a run's best evaluation, in <c>best.safetensors</c> next to its checkpoints: a checkpoint of the model
/// only.</summary>
/// <remarks>The best evaluation so far copies its weights (averages and BatchNorm statistics as evaluated) in memory, outside the training
/// time. The file is written just before each checkpoint and at the end of the run, even if the run diverged or failed. A kill therefore
/// loses the best weights since the last checkpoint, which a resumed run finds again. The file may be ahead of the checkpoint that a run
/// resumes from.</remarks>
internal sealed class BestWeights(string directory, nn.Module model) : IDisposable
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "best.safetensors";

    private readonly Dictionary<string, Tensor> _copy = [];
    private BestEvaluation? _copied,
        _written;

    /// <summary>The path of the file in a run's folder.</summary>
    public static string PathIn(string directory) => Path.Combine(directory, FileName);

    /// <summary>Loads the file; null if it does not exist. The caller disposes it.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static Checkpoint? Load(string directory) => PathIn(directory) is var file && File.Exists(file) ? Checkpoint.Load(file) : null;

    /// <summary>Copies the model's weights as those of the best evaluation. If a weight is not finite, the earlier copy stays.</summary>
    public void Take(BestEvaluation of)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var state = model.state_dict();
        if (NotFinite.First(state) is not null)
            return;
        foreach (var (name, tensor) in state)
            if (_copy.TryGetValue(name, out var copy))
                copy.copy_(tensor);
            else
                _copy[name] = tensor.detach().clone().cpu().DetachFromDisposeScope();
        _copied = of;
    }

    /// <summary>After a resume: recognises the file's content, if it belongs to the best evaluation in the record.</summary>
    public void Resume(RunRecord record)
    {
        try
        {
            using var file = Load(directory);
            if (file is not null && file.Metadata.TryGetValue(Checkpoint.RunKey, out string? run) && RunRecord.BestOf(run) == record.Best)
                _written = record.Best;
        }
        catch (InvalidDataException)
        {
            // The next best evaluation writes it again.
        }
    }

    /// <summary>Writes the file if the weights in memory are newer.</summary>
    /// <exception cref="IOException">The file system refused to write. The file is unchanged.</exception>
    public void Write(RunRecord record)
    {
        if (_copied is not { } best || best == _written)
            return;
        Directory.CreateDirectory(directory);
        foreach (string stray in Directory.GetFiles(directory, AtomicFile.TemporaryPattern(FileName)))
            File.Delete(stray);
        Checkpoint.Save(
            PathIn(directory),
            best.Step,
            _copy.ToDictionary(t => Checkpoint.ModelPrefix + t.Key, t => t.Value),
            new Dictionary<string, string> { [Checkpoint.RunKey] = record.ToJson() }
        );
        _written = best;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _copy.Values)
            tensor.Dispose();
        _copy.Clear();
    }
}
