using System.Text.Json.Nodes;
using Amari.Native;
using Amari.Optimizers;
using Amari.Verification;

namespace Amari;

// Saving, restoring and moving.
public sealed partial class Kfac
{
    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var inner = _fallback.Snapshot();
        var tensors = inner.Tensors.ToDictionary(t => "fallback." + t.Key, t => t.Value);
        foreach (var block in _blocks)
        {
            foreach (var (name, tensor) in _sharing is null ? block.Tensors() : block.Factors().Concat(_sharing.Saved(block)))
                tensors[$"{block.Name}.{name}"] = tensor;
            if (_momentum.TryGetValue(block, out var b))
                tensors[$"{block.Name}.Momentum"] = b;
        }
        tensors["generator"] = _generator.get_state();
        return new(
            tensors,
            new()
            {
                ["type"] = nameof(Kfac),
                ["schema"] = SavedState.Schema,
                ["step"] = _step,
                ["options"] = SavedState.Write(Shared),
                ["initialLearningRate"] = Group.InitialLearningRate,
                ["rates"] = new JsonArray([.. _rates.Select(r => (JsonNode)r)]),
                ["groups"] = new JsonArray([
                    .. _groups
                        .Skip(1)
                        .Select(g => new JsonObject
                        {
                            ["options"] = SavedState.Write(g.Options),
                            ["initialLearningRate"] = g.InitialLearningRate,
                        }),
                ]),
                ["blocks"] = new JsonObject(_blocks.Select(b => KeyValuePair.Create(b.Name, (JsonNode?)b.Updates))),
                ["awaited"] = new JsonArray([
                    .. _blocks.Where(b => b is { IsAwaited: true, IsMeasured: false }).Select(b => (JsonNode)b.Name),
                ]),
                ["demoted"] = new JsonObject(_demoted.Select(d => KeyValuePair.Create(d.Key, (JsonNode?)d.Value))),
                ["events"] = _events.Save(),
                ["clippedSteps"] = ClippedSteps,
                ["skippedSteps"] = SkippedSteps,
                ["damping"] = _damping,
                ["factorDamping"] = _factorDamping,
                ["rejectedSteps"] = RejectedSteps,
                ["growth"] = new JsonObject { ["mean"] = _growth.Mean, ["count"] = _growth.Count },
                ["remeasures"] = _remeasures,
                ["rule"] = _rule?.ToString(),
                ["length"] = _length,
                ["divergence"] = new JsonObject { ["mean"] = _divergence.Mean, ["count"] = _divergence.Count },
                ["peaks"] = new JsonArray([.. _groups.Select(g => (JsonNode)_peaks.GetValueOrDefault(g))]),
                ["momentumRates"] = new JsonArray([
                    .. _groups.Select(g => _momentumRates.TryGetValue(g, out double rate) ? (JsonNode)rate : null),
                ]),
                ["schedule"] = _schedule.ToJson(),
                ["inverses"] = _inverter.ToJson(),
                ["fallback"] = inner.Values,
            }
        );
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        using var scope = NewDisposeScope();
        var (tensors, values) = snapshot;
        SavedState.RequireHeader(values, nameof(Kfac));
        JsonArray Listed(string name) => values[name] as JsonArray ?? throw new InvalidDataException($"The state lacks '{name}'.");
        var updates = SavedState.Required(values, "blocks").AsObject();
        var demoted = SavedState.Required(values, "demoted").AsObject();
        var expected = _blocks.Select(b => b.Name).Concat(_demoted.Keys).Order(StringComparer.Ordinal);
        if (!updates.Concat(demoted).Select(b => b.Key).Order(StringComparer.Ordinal).SequenceEqual(expected))
            throw new InvalidDataException("The state is of a model with other layers.");
        List<(Options Options, double Initial)> groups =
        [
            .. (values["groups"]?.AsArray() ?? [])
                .Prepend(values)
                .Select(g => (Options: SavedState.Read<Options>(g!["options"]), Saved: g))
                .Select(g => (g.Options, (double?)g.Saved["initialLearningRate"] ?? g.Options.LearningRate)),
        ];
        FollowModel();
        if (groups.Count != _groups.Count)
            throw new InvalidDataException($"The state is of {groups.Count} parameter groups, not of {_groups.Count}.");
        double[] rates = [.. Listed("rates").Select(r => (double)r!)];
        if (rates.Length != _groups.Count)
            throw new InvalidDataException($"The state has {rates.Length} rates of {_groups.Count} parameter groups.");
        var awaited = Listed("awaited").Select(n => (string)n!).ToHashSet();
        var events = Listed("events");
        long Count(string name) => SavedState.Count(values, name, optional: true);
        var (steps, clipped, skipped, rejected) = (
            SavedState.Count(values, "step"),
            Count("clippedSteps"),
            Count("skippedSteps"),
            Count("rejectedSteps")
        );
        if (!tensors.TryGetValue("generator", out var generator))
            throw new InvalidDataException("The state lacks 'generator'.");
        RandomState.Require("generator", generator);
        foreach (var block in _blocks.Where(b => updates.ContainsKey(b.Name)))
        {
            CheckShapes(block, tensors);
            block.Check(Find(block), SavedState.Count(updates, block.Name));
        }
        const string prefix = "fallback.";
        var fallback = new OptimizerSnapshot(
            tensors.Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal)).ToDictionary(t => t.Key[prefix.Length..], t => t.Value),
            SavedState.Required(values, "fallback").AsObject()
        );
        var left = demoted.Select(d => _blocks.Find(b => b.Name == d.Key)).OfType<CurvatureBlock>().ToList();
        if (left.Count > 0)
            Replay(left, fallback);

        foreach (var block in left)
            Demote(block, (string)demoted[block.Name]!);
        _fallback.Restore(fallback); // the last check
        _rates = rates;
        foreach (var (group, (options, initial)) in _groups.Zip(groups))
            (group.Options, group.InitialLearningRate) = (options, initial);
        foreach (var block in _blocks)
        {
            block.Restore(Find(block), SavedState.Count(updates, block.Name));
            block.IsAwaited = awaited.Contains(block.Name);
            var old = _momentum.GetValueOrDefault(block);
            if (Find(block)("Momentum") is { } b)
                _momentum[block] = b.clone().DetachFromDisposeScope();
            else
                _momentum.Remove(block);
            old?.Dispose();
        }
        _sharing?.Restored(_blocks);
        _generator.set_state(generator);
        (_step, ClippedSteps, SkippedSteps) = (steps, clipped, skipped);
        _capture.Draws = 0; // every rank has the same generator now
        _events.Load(events);
        _capture.Reset();
        _capture.MarkReported(events.Select(e => ((string)e![0]!, (string)e[1]!)));
        (_damping, _factorDamping, RejectedSteps) = ((double?)values["damping"], (double?)values["factorDamping"], rejected);
        _growth.Restore((double?)values["growth"]?["mean"], (long?)values["growth"]?["count"] ?? 0);
        _remeasures = (bool?)values["remeasures"] ?? false;
        _rule = Enum.TryParse<StepRule>((string?)values["rule"], out var rule) ? rule : null;
        foreach (var (group, peak) in _groups.Zip(values["peaks"]?.AsArray() ?? []))
            _peaks[group] = (double)peak!;
        _divergence.Restore((double?)values["divergence"]?["mean"], (long?)values["divergence"]?["count"] ?? 0);
        _length = (double?)values["length"] ?? 0;
        _momentumRates.Clear();
        foreach (var (group, rate) in _groups.Zip(values["momentumRates"]?.AsArray() ?? []))
            if (rate is not null)
                _momentumRates[group] = (double)rate;
        _schedule.Restore(values["schedule"] as JsonObject);
        _inverter.Restore(values["inverses"] as JsonObject);
        _ended = null;
        ArmCapture();

        // of a model that had another type
        Func<string, Tensor?> Find(CurvatureBlock block) =>
            member =>
                tensors.GetValueOrDefault($"{block.Name}.{member}") is { } saved
                    ? saved.dtype is ScalarType.Float32 or ScalarType.Float64
                        ? saved.to_type(block.FactorType)
                        : saved
                    : null;
    }

    private static void CheckShapes(CurvatureBlock block, IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        foreach (var (member, tail) in block.Shapes())
        {
            if (!tensors.TryGetValue($"{block.Name}.{member}", out var saved))
                continue;
            if (saved.dim() < tail.Length || !saved.shape.AsSpan()[^tail.Length..].SequenceEqual(tail))
                throw new InvalidDataException(
                    $"'{block.Name}.{member}' has the shape [{string.Join(", ", saved.shape)}], expected [.., {string.Join(", ", tail)}]."
                );
            if (!saved.is_floating_point())
                throw new InvalidDataException($"'{block.Name}.{member}' is {saved.dtype}, expected {block.FactorType}.");
        }
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        foreach (var block in _blocks)
            Move(block, device);
        _fallback.to(device);
    }

    private void Move(CurvatureBlock block, Device device)
    {
        block.To(device);
        if (!_momentum.TryGetValue(block, out var b))
            return;
        _momentum[block] = b.to(block.FactorType, device).DetachFromDisposeScope();
        if (!ReferenceEquals(_momentum[block], b))
            b.Dispose();
    }
}
