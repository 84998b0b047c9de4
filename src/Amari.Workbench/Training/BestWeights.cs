using Amari.Serialization;

namespace Amari.Training;

/// <summary>The weights of a run's best evaluation, as <c>best.safetensors</c> next to its checkpoints: a checkpoint of the model
/// alone.</summary>
/// <remarks>An evaluation that is the best so far copies the weights that it was of (averages and BatchNorm statistics as evaluated) in
/// memory, which costs a copy and no
/// time of training. The file is written when a checkpoint is due, before that, and at the end of the run, also of one that diverged or
/// failed. So a kill loses the best weights since
/// the last checkpoint, which a resumed run finds again; and the file may be ahead of the checkpoint that a run resumes from, until the
/// run has come as far.</remarks>
internal sealed class BestWeights(string directory, nn.Module model) : IDisposable
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "best.safetensors";

    private readonly Dictionary<string, Tensor> _copy = [];
    private BestEvaluation? _copied,
        _written;

    /// <summary>The file in a run's folder.</summary>
    public static string PathIn(string directory) => Path.Combine(directory, FileName);

    /// <summary>The file as of some run; null if there is none. The caller disposes it.</summary>
    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static Checkpoint? Load(string directory) => PathIn(directory) is var file && File.Exists(file) ? Checkpoint.Load(file) : null;

    /// <summary>Takes the model's weights as those of the best evaluation; the earlier ones stay if a weight is not finite.</summary>
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

    /// <summary>After a resume: what the file holds already, if it is the evaluation that the record knows as its best.</summary>
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
            // It is written again at the next best evaluation.
        }
    }

    /// <summary>Writes the file if the weights in memory are newer.</summary>
    /// <exception cref="IOException">The disk refused; the file is as it was.</exception>
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
