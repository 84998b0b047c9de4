using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;

namespace Amari;

// Saving, restoring and moving.
public sealed partial class Kfac
{
    private static readonly JsonSerializerOptions Json = new() { Converters = { new JsonStringEnumConverter() } };

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var inner = _fallback.Snapshot();
        var tensors = inner.Tensors.ToDictionary(t => "fallback." + t.Key, t => t.Value);
        foreach (var block in _blocks)
        {
            foreach (var (name, tensor) in _sharing is null ? block.Tensors() : block.Factors().Concat(_sharing.Saved(block))) tensors[$"{block.Name}.{name}"] = tensor;
            if (_momentum.TryGetValue(block, out var b)) tensors[$"{block.Name}.Momentum"] = b;
        }
        tensors["generator"] = _generator.get_state();
        return new(tensors, new()
        {
            ["type"] = nameof(Kfac),
            ["step"] = _step,
            ["options"] = JsonSerializer.SerializeToNode(Shared, Json),
            ["initialLearningRate"] = Group.InitialLearningRate,
            ["groups"] = new JsonArray([.. _groups.Skip(1).Select(g => new JsonObject
            {
                ["options"] = JsonSerializer.SerializeToNode(g.Options, Json), ["initialLearningRate"] = g.InitialLearningRate,
            })]),
            ["blocks"] = new JsonObject(_blocks.Select(b => KeyValuePair.Create(b.Name, (JsonNode?)b.Updates))),
            ["demoted"] = new JsonObject(_demoted.Select(d => KeyValuePair.Create(d.Key, (JsonNode?)d.Value))),
            ["events"] = new JsonArray([.. _events.Select(e => new JsonArray(e.Subject, e.Message, e.First, e.Count))]),
            ["clippedSteps"] = ClippedSteps,
            ["skippedSteps"] = SkippedSteps,
            ["damping"] = _damping,
            ["factorDamping"] = _factorDamping,
            ["rejectedSteps"] = RejectedSteps,
            ["schedule"] = Shared.CurvatureBudget is null ? null : _schedule.ToJson(),
            ["inverses"] = _inverter.ToJson(),
            ["fallback"] = inner.Values,
        });
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var (tensors, values) = snapshot;
        if ((string?)values["type"] != nameof(Kfac))
            throw new InvalidDataException($"The state is of the optimizer {values["type"]}, not of {nameof(Kfac)}.");
        var updates = values["blocks"]!.AsObject();
        var demoted = values["demoted"]!.AsObject();
        var expected = _blocks.Select(b => b.Name).Concat(_demoted.Keys).Order(StringComparer.Ordinal);
        if (!updates.Concat(demoted).Select(b => b.Key).Order(StringComparer.Ordinal).SequenceEqual(expected))
            throw new InvalidDataException("The state is of a model with other layers.");
        var options = values["options"]!.Deserialize<Options>(Json)!;
        var groups = values["groups"]!.AsArray();
        if (groups.Count != _groups.Count - 1) throw new InvalidDataException($"The state is of {groups.Count + 1} parameter groups, not of {_groups.Count}.");
        foreach (var block in _blocks) CheckShapes(block, tensors);

        foreach (var (name, reason) in demoted)
            if (_blocks.Find(b => b.Name == name) is { } block) Demote(block, (string)reason!);
        const string prefix = "fallback.";
        _fallback.Restore(new(tensors.Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(t => t.Key[prefix.Length..], t => t.Value), values["fallback"]!.AsObject()));
        Group.Options = options;
        Group.InitialLearningRate = (double)values["initialLearningRate"]!;
        foreach (var (group, saved) in _groups.Skip(1).Zip(groups))
            (group.Options, group.InitialLearningRate) = (saved!["options"].Deserialize<Options>(Json)!, (double)saved["initialLearningRate"]!);
        foreach (var block in _blocks)
        {
            block.Restore(member => tensors.GetValueOrDefault($"{block.Name}.{member}"), (long)updates[block.Name]!, options.DampingMethod);
            if (_momentum.Remove(block, out var old)) old.Dispose();
            if (tensors.TryGetValue($"{block.Name}.Momentum", out var b)) _momentum[block] = b.clone().DetachFromDisposeScope();
        }
        _sharing?.Restored(_blocks);
        _generator.set_state(tensors["generator"]);
        (_step, ClippedSteps, SkippedSteps) = ((long)values["step"]!, (long)values["clippedSteps"]!, (long)values["skippedSteps"]!);
        Reseed();
        _events.Clear();
        _events.AddRange(values["events"]!.AsArray().Select(e => ((string)e![0]!, (string)e[1]!, (long)e[2]!, (long)e[3]!)));
        _capture.Reset();
        (_damping, _factorDamping, RejectedSteps) = ((double?)values["damping"], (double?)values["factorDamping"], (long?)values["rejectedSteps"] ?? 0);
        _schedule.Restore(values["schedule"] as JsonObject);
        _inverter.Restore(values["inverses"] as JsonObject);
        _ended = null;
        Arm();
    }

    private static void CheckShapes(CurvatureBlock block, IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        foreach (var (member, tail) in block.Shapes())
            if (tensors.TryGetValue($"{block.Name}.{member}", out var saved) && (saved.dim() < tail.Length || !saved.shape.AsSpan()[^tail.Length..].SequenceEqual(tail)))
                throw new InvalidDataException($"'{block.Name}.{member}' has the shape [{string.Join(", ", saved.shape)}], expected [.., {string.Join(", ", tail)}].");
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        foreach (var block in _blocks) Move(block, device);
        _fallback.to(device);
    }

    private void Move(CurvatureBlock block, Device device)
    {
        block.To(device);
        if (!_momentum.TryGetValue(block, out var b)) return;
        _momentum[block] = b.to(block.FactorType, device).DetachFromDisposeScope();
        if (!ReferenceEquals(_momentum[block], b)) b.Dispose();
    }
}
