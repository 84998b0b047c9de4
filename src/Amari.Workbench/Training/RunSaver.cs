using System.Text.Json;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Verification;

namespace Amari.Training;

/// <summary>Saves and restores a run's model, optimizer, random state and record. With several ranks, all make the same calls and only rank
/// 0 writes and reads: a checkpoint does not depend on the number of ranks.</summary>
internal sealed class RunSaver(CheckpointOptions options, nn.Module<Tensor, Tensor> model, Optimizer optimizer, Communicator ranks)
    : IDisposable
{
    private const string Randomness = "rng.torch";
    private readonly CheckpointDirectory _directory = new(options.Directory);
    private readonly BestWeights _best = new(options.Directory, model);
    private FolderLock.Holder? _hold;
    private bool _isWithheld;

    /// <summary>Why the last attempt to save failed; null if it succeeded. The run continues and tries again.</summary>
    public string? Failure { get; private set; }

    /// <summary>The optimizer's state as rank 0 describes it to the others.</summary>
    private sealed record Header(string Run, string Optimizer, IReadOnlyDictionary<string, SavedTensor> Tensors);

    private sealed record SavedTensor(ScalarType Type, long[] Shape);

    /// <summary>Copies the weights of the best evaluation so far.</summary>
    public void TakeBest(RunRecord record)
    {
        if (ranks.Rank == 0 && !options.IsTransient)
            _best.Take(record.Best!.Value);
    }

    /// <summary>Writes the best weights if they are new.</summary>
    public void SaveBest(RunRecord record)
    {
        if (ranks.Rank == 0)
            Try(record, () => _best.Write(record));
    }

    /// <summary>Writes a checkpoint, and the best weights before it. Weights or a state that are not finite are not written: the earlier
    /// checkpoints stay, and the first occurrence is reported on standard error and in the run's events. The same holds if the file system
    /// refuses to write (see <see cref="Failure"/>), and when writing works again.</summary>
    public void Save(RunRecord record)
    {
        using var scope = NewDisposeScope();
        var snapshot = optimizer.Snapshot();
        if (ranks.Rank == 0)
            Try(record, () => Write(record, snapshot));
    }

    private void Write(RunRecord record, OptimizerSnapshot snapshot)
    {
        _directory.Own();
        _best.Write(record);
        var (tensors, metadata) = ModelCheckpoint.ContentOf(model, snapshot);
        (tensors[Randomness], metadata[Checkpoint.RunKey]) = (get_rng_state(), record.ToJson());
        if (NotFinite.First(tensors) is { } bad)
        {
            Withhold(record, bad);
            return;
        }
        _directory.Save(record.Step, tensors, metadata);
        if (Failure is not null)
            Report(record, "checkpoints are written again");
        Failure = null;
    }

    private void Withhold(RunRecord record, string name)
    {
        if (_isWithheld)
            return;
        _isWithheld = true;
        Report(record, $"no checkpoint is written while {name} is not finite; earlier checkpoints stay");
    }

    /// <summary>A failed write must not end a run.</summary>
    private void Try(RunRecord record, Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (Failure is null)
                Report(
                    record,
                    $"no checkpoint could be written to '{options.Directory}'; the run continues and tries again: "
                        + $"{e.Message.TrimEnd('.')}"
                );
            Failure = e.Message;
        }
    }

    private static void Report(RunRecord record, string what)
    {
        record.Events.Add(new(record.Step, "checkpoint", what));
        Console.Error.WriteLine(FormattableString.Invariant($"Step {record.Step}: {what.ReplaceLineEndings(" ")}."));
    }

    /// <summary>Checks that a run's folder is writable and locks it for the run.</summary>
    /// <exception cref="ArgumentException">The path is not a folder, is not writable, or is in use by another process.</exception>
    private static FolderLock.Holder Own(string directory)
    {
        AtomicFile.Probe(directory);
        try
        {
            return FolderLock.Take(directory, run: true);
        }
        catch (FolderInUseException e)
        {
            throw new ArgumentException(e.Message, e);
        }
    }

    /// <summary>Checks, before training starts, that a folder is writable, is not in use, and holds nothing that this run cannot continue
    /// from.</summary>
    /// <exception cref="ArgumentException">The path is not a folder, is not writable, is in use, or holds another run; or it holds
    /// checkpoints and resuming was not requested.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    public static void Check(CheckpointOptions options, RunRecord record)
    {
        using var hold = Own(options.Directory);
        using var checkpoint = Newest(new(options.Directory), options, _ => { }, c => record.Check(MetadataOf(c, Checkpoint.RunKey)));
        if (checkpoint is null)
            CheckBest(options, record);
    }

    /// <summary>Whether a folder holds files of a run.</summary>
    public static bool HoldsAny(string directory) =>
        new CheckpointDirectory(directory).HoldsAny || File.Exists(BestWeights.PathIn(directory));

    /// <summary>A run that diverged before its first checkpoint left only its best weights. Another run must not replace them.</summary>
    private static void CheckBest(CheckpointOptions options, RunRecord record)
    {
        using var best = BestWeights.Load(options.Directory);
        if (best is null)
            return;
        if (!options.Resume)
            throw Earlier(options);
        record.Check(MetadataOf(best, Checkpoint.RunKey));
    }

    private static ArgumentException Earlier(CheckpointOptions options) =>
        new($"{options.Directory} holds checkpoints of an earlier run: continue it with --resume, or choose another folder.");

    /// <summary>Continues from the newest valid checkpoint, if requested and there is one. Damaged checkpoints are reported on standard
    /// error. Only rank 0 restores the model.</summary>
    /// <exception cref="ArgumentException">As in <see cref="Check"/>.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    public void Resume(RunRecord record)
    {
        using var scope = NewDisposeScope();
        if (ranks.Rank == 0)
            Open();
        using var checkpoint =
            ranks.Rank == 0
                ? Newest(
                    _directory,
                    options,
                    reason => Console.Error.WriteLine($"Skipped a damaged checkpoint: {reason}"),
                    c => Take(c, record)
                )
                : null;
        string text = checkpoint is null
            ? ""
            : JsonSerializer.Serialize(
                new Header(
                    MetadataOf(checkpoint, Checkpoint.RunKey),
                    ModelCheckpoint.ValuesOf(checkpoint),
                    ModelCheckpoint.StateOf(checkpoint).ToDictionary(t => t.Key, t => new SavedTensor(t.Value.dtype, t.Value.shape))
                )
            );
        if (ranks.Rank == 0 && checkpoint is null && !options.IsTransient)
            CheckBest(options, record);
        text = ranks.Broadcast(text, 0);
        if (text.Length == 0)
            return;
        var header = JsonSerializer.Deserialize<Header>(text)!;
        if (checkpoint is null)
            record.Restore(header.Run);
        if (ranks.Size > 1)
        {
            var tensors = checkpoint is null
                ? header.Tensors.ToDictionary(t => t.Key, t => empty(t.Value.Shape, dtype: t.Value.Type))
                : ModelCheckpoint.StateOf(checkpoint);
            foreach (string name in header.Tensors.Keys)
                ranks.BroadcastAny(tensors[name], 0);
            Restore(tensors, header.Optimizer);
        }
        if (checkpoint is not null)
            set_rng_state(checkpoint.Tensors[Randomness]);
        if (ranks.Rank == 0)
            _best.Resume(record);
    }

    /// <summary>Restores what rank 0 reads from a checkpoint. If it is malformed, the previous checkpoint is tried, which overwrites every
    /// change of this one.</summary>
    private void Take(Checkpoint checkpoint, RunRecord record)
    {
        if (!checkpoint.Tensors.TryGetValue(Randomness, out var random))
            throw new InvalidDataException($"The checkpoint lacks '{Randomness}'.");
        RandomState.Require(Randomness, random);
        SavedState.RequireFinite(checkpoint.Tensors);
        var otherwise = record.Restore(MetadataOf(checkpoint, Checkpoint.RunKey));
        if (ranks.Size == 1)
            checkpoint.CopyTo(model, optimizer);
        else
            checkpoint.CopyTo(model);
        foreach (string what in otherwise)
            Console.Error.WriteLine($"Resumed: {what}.");
    }

    private void Restore(IReadOnlyDictionary<string, Tensor> tensors, string values) =>
        Untrusted.Read("The optimizer's state", () => optimizer.Restore(new(tensors, SavedState.Parse(values, "optimizer"))));

    private void Open()
    {
        try
        {
            _hold = Own(options.Directory);
        }
        catch (ArgumentException e) when (options.IsTransient)
        {
            Warnings.Once(e.Message);
        }
    }

    private static string MetadataOf(Checkpoint checkpoint, string key) =>
        checkpoint.Metadata.TryGetValue(key, out string? value)
            ? value
            : throw new InvalidDataException($"The checkpoint lacks '{key}': it was not saved by a run.");

    private static Checkpoint? Newest(
        CheckpointDirectory directory,
        CheckpointOptions options,
        Action<string> passedOver,
        Action<Checkpoint> use
    )
    {
        var checkpoint = directory.Load(
            c =>
            {
                if (options.Resume)
                    use(c);
            },
            out var refused
        );
        if (!options.Resume)
        {
            if (checkpoint is null && refused.Count == 0)
                return null;
            checkpoint?.Dispose();
            throw Earlier(options);
        }
        foreach (string reason in refused)
            passedOver(reason);
        if (checkpoint is null && refused.Count > 0 && !options.IsTransient)
            throw new InvalidDataException(
                $"Every checkpoint in {options.Directory} is damaged, so the run cannot continue. The newest: {refused[0]}"
            );
        return checkpoint;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _best.Dispose();
        _directory.Dispose();
        _hold?.Dispose();
    }
}
