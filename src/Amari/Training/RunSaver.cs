using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Distributed;

namespace Amari.Training;

/// <summary>Saves a run's model, optimizer, randomness and record, and puts them back. Over several ranks, which all call the same, rank 0 alone writes and reads:
/// a checkpoint does not depend on their number.</summary>
internal sealed class RunSaver(CheckpointOptions options, nn.Module<Tensor, Tensor> model, Optimizer optimizer, Communicator ranks)
{
    private const string OptimizerPrefix = "optimizer.", Randomness = "rng.torch";
    private readonly CheckpointDirectory _directory = new(options.Directory);

    /// <summary>What rank 0 tells the others of the optimizer's state.</summary>
    private sealed record Header(string Run, string Optimizer, IReadOnlyDictionary<string, SavedTensor> Tensors);

    private sealed record SavedTensor(ScalarType Type, long[] Shape);

    public void Save(RunRecord record)
    {
        using var scope = NewDisposeScope();
        var snapshot = optimizer.Snapshot();
        if (ranks.Rank > 0) return;
        var tensors = new Dictionary<string, Tensor> { [Randomness] = get_rng_state() };
        foreach (var (name, tensor) in model.state_dict()) tensors[Checkpoint.ModelPrefix + name] = tensor;
        foreach (var (name, tensor) in snapshot.Tensors) tensors[OptimizerPrefix + name] = tensor;
        _directory.Save(record.Step, tensors, new Dictionary<string, string>
        {
            ["run"] = record.ToJson(),
            ["optimizer"] = snapshot.Values.ToJsonString(),
        });
    }

    /// <summary>Refuses, before anything is trained, a folder that cannot be written to or that holds what this run cannot continue from.</summary>
    /// <exception cref="ArgumentException">It is no folder, is not writable, or holds another run; or there are checkpoints and resuming was not asked for.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    public static void Check(CheckpointOptions options, RunRecord record)
    {
        AtomicFile.Probe(options.Directory);
        using var checkpoint = Newest(new(options.Directory), options, _ => { });
        if (checkpoint is not null) record.Check(Said(checkpoint, "run"));
    }

    /// <summary>Continues from the newest valid checkpoint if asked to and there is one; damaged ones are told on standard error. The model is rank 0's only afterwards.</summary>
    /// <exception cref="ArgumentException">As of <see cref="Check"/>.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    public void Resume(RunRecord record)
    {
        using var scope = NewDisposeScope();
        if (ranks.Rank == 0) AtomicFile.Probe(options.Directory);
        using var checkpoint = ranks.Rank == 0 ? Newest(_directory, options, reason => Console.Error.WriteLine($"Passed over a damaged checkpoint: {reason}")) : null;
        string text = checkpoint is null ? "" : JsonSerializer.Serialize(new Header(Said(checkpoint, "run"), Said(checkpoint, "optimizer"),
            checkpoint.Tensors.Where(t => t.Key.StartsWith(OptimizerPrefix, StringComparison.Ordinal))
                .ToDictionary(t => t.Key[OptimizerPrefix.Length..], t => new SavedTensor(t.Value.dtype, t.Value.shape))));
        text = ranks.Broadcast(text, 0);
        if (text.Length == 0) return;
        var header = JsonSerializer.Deserialize<Header>(text)!;
        record.Restore(header.Run);
        checkpoint?.CopyTo(model);
        var tensors = header.Tensors.ToDictionary(t => t.Key, t => checkpoint?.Tensors[OptimizerPrefix + t.Key] ?? empty(t.Value.Shape, dtype: t.Value.Type));
        foreach (var tensor in tensors.Values) ranks.BroadcastAny(tensor, 0);
        optimizer.Restore(new(tensors, JsonNode.Parse(header.Optimizer)!.AsObject()));
        if (checkpoint is not null) set_rng_state(checkpoint.Tensors[Randomness]);
    }

    private static string Said(Checkpoint checkpoint, string key) => checkpoint.Metadata.TryGetValue(key, out string? value) ? value
        : throw new InvalidDataException($"The checkpoint does not say its '{key}': it was not saved by a run.");

    private static Checkpoint? Newest(CheckpointDirectory directory, CheckpointOptions options, Action<string> passedOver)
    {
        var checkpoint = directory.Load(out var refused);
        if (!options.Resume)
        {
            if (checkpoint is null && refused.Count == 0) return null;
            checkpoint?.Dispose();
            throw new ArgumentException($"{options.Directory} holds checkpoints of an earlier run: continue it with --resume, or choose another folder.");
        }
        foreach (string reason in refused) passedOver(reason);
        if (checkpoint is null && refused.Count > 0) throw new InvalidDataException($"Every checkpoint in {options.Directory} is damaged; nothing to continue from.");
        return checkpoint;
    }
}
