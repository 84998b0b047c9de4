using System.Text.Json.Nodes;

namespace Amari.Training;

/// <summary>Saves a run's model, optimizer, randomness and record, and puts them back.</summary>
internal sealed class RunSaver(CheckpointOptions options, nn.Module<Tensor, Tensor> model, Optimizer optimizer)
{
    private const string OptimizerPrefix = "optimizer.", Randomness = "rng.torch";
    private readonly CheckpointDirectory _directory = new(options.Directory);

    public void Save(RunRecord record)
    {
        using var scope = NewDisposeScope();
        var snapshot = optimizer.Snapshot();
        var tensors = new Dictionary<string, Tensor> { [Randomness] = get_rng_state() };
        foreach (var (name, tensor) in model.state_dict()) tensors[Checkpoint.ModelPrefix + name] = tensor;
        foreach (var (name, tensor) in snapshot.Tensors) tensors[OptimizerPrefix + name] = tensor;
        _directory.Save(record.Step, tensors, new Dictionary<string, string>
        {
            ["run"] = record.ToJson(),
            ["optimizer"] = snapshot.Values.ToJsonString(),
        });
    }

    /// <summary>Continues from the newest valid checkpoint if asked to and there is one; damaged ones are told on standard error.</summary>
    /// <exception cref="InvalidDataException">All checkpoints are damaged, or they are another run's; or there are some and resuming was not asked for.</exception>
    public void Resume(RunRecord record)
    {
        using var checkpoint = _directory.Load(out var refused);
        if (!options.Resume)
        {
            if (checkpoint is not null || refused.Count > 0)
                throw new InvalidDataException($"{options.Directory} holds checkpoints of an earlier run: continue it with --resume, or choose another folder.");
            return;
        }
        foreach (string reason in refused) Console.Error.WriteLine($"Passed over a damaged checkpoint: {reason}");
        if (checkpoint is null)
        {
            if (refused.Count > 0) throw new InvalidDataException($"Every checkpoint in {options.Directory} is damaged; nothing to continue from.");
            return;
        }
        record.Restore(checkpoint.Metadata["run"]);
        checkpoint.CopyTo(model);
        optimizer.Restore(new(
            checkpoint.Tensors.Where(t => t.Key.StartsWith(OptimizerPrefix, StringComparison.Ordinal))
                .ToDictionary(t => t.Key[OptimizerPrefix.Length..], t => t.Value),
            JsonNode.Parse(checkpoint.Metadata["optimizer"])!.AsObject()));
        set_rng_state(checkpoint.Tensors[Randomness]);
    }
}
