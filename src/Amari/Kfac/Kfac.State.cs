using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Native;
using Amari.Optimizers;
using Amari.Verification;

namespace Amari;

// Saving, restoring and moving.
public sealed partial class Kfac
{
    private const string FallbackPrefix = "fallback.";

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var inner = _fallback.Snapshot();
        var tensors = inner.Tensors.ToDictionary(t => FallbackPrefix + t.Key, t => t.Value);
        var values = SnapshotHeader();
        values["step"] = _step;
        values["likelihood"] = _likelihood?.GetType().Name;
        values["options"] = SavedState.Write(Shared);
        values["initialLearningRate"] = Group.InitialLearningRate;
        values["rates"] = new JsonArray([.. _rates.Select(r => (JsonNode)r.First)]);
        values["groups"] = new JsonArray([
            .. OtherGroups.Select(g => new JsonObject
            {
                ["options"] = SavedState.Write(g.Options),
                ["initialLearningRate"] = g.InitialLearningRate,
            }),
        ]);
        values["demoted"] = new JsonObject(_demoted.Select(d => KeyValuePair.Create(d.Key, (JsonNode?)d.Value)));
        values["damping"] = _damping;
        values["rejectedSteps"] = RejectedSteps;
        values["growth"] = _growth.ToJson();
        values["peaks"] = new JsonArray([.. _rates.Select(r => (JsonNode)(r.Peak ?? 0))]);
        values["momentumRates"] = new JsonArray([.. _rates.Select(r => (JsonNode?)r.Last)]);
        values["fallback"] = inner.Values;
        _rules.Save(values);
        Estimate.Save(tensors, values);
        foreach (var (block, b) in _momentum)
            tensors[$"{block.Name}.Momentum"] = b;
        return new(tensors, values);
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        using var scope = NewDisposeScope();
        var (tensors, values) = snapshot;
        var takeHeader = ReadSnapshotHeader(values);
        JsonArray Listed(string name) => values[name] as JsonArray ?? throw new InvalidDataException($"The state lacks '{name}'.");
        if (values.TryGetPropertyValue("likelihood", out var likelihood) && (string?)likelihood != _likelihood?.GetType().Name)
            throw new InvalidDataException(
                $"The state is of K-FAC {With((string?)likelihood)}, not {With(_likelihood?.GetType().Name)}: make it as it was made."
            );
        var updates = SavedState.Required(values, "blocks").AsObject();
        var demoted = SavedState.Required(values, "demoted").AsObject();
        var expected = Estimate.Blocks.Select(b => b.Name).Concat(_demoted.Keys).Order(StringComparer.Ordinal);
        if (!updates.Concat(demoted).Select(b => b.Key).Order(StringComparer.Ordinal).SequenceEqual(expected))
            throw new InvalidDataException("The state is of a model with other layers.");
        var options = SavedState.Read<Options>(values["options"]);
        var others = (values["groups"]?.AsArray() ?? []).Select(g => SavedState.Read<GroupOptions>(g!["options"])).ToList();
        List<double?> initial =
        [
            (double?)values["initialLearningRate"],
            .. (values["groups"]?.AsArray() ?? []).Select(g => (double?)g!["initialLearningRate"]),
        ];
        FollowModel();
        if (initial.Count != _groups.Count)
            throw new InvalidDataException($"The state is of {initial.Count} parameter groups, not of {_groups.Count}.");
        double[] rates = [.. Listed("rates").Select(r => (double)r!)];
        if (rates.Length != _groups.Count)
            throw new InvalidDataException($"The state has {rates.Length} rates of {_groups.Count} parameter groups.");
        var awaited = Listed("awaited").Select(n => (string)n!).ToHashSet();
        var events = Listed("events");
        var (steps, rejected) = (SavedState.Count(values, "step"), SavedState.Count(values, "rejectedSteps", optional: true));
        long? Updates(string block) => updates.ContainsKey(block) ? SavedState.Count(updates, block) : null;
        Estimate.Check(tensors, Updates);
        var fallback = new OptimizerSnapshot(
            tensors
                .Where(t => t.Key.StartsWith(FallbackPrefix, StringComparison.Ordinal))
                .ToDictionary(t => t.Key[FallbackPrefix.Length..], t => t.Value),
            SavedState.Required(values, "fallback").AsObject()
        );
        var left = demoted.Select(d => Estimate.Blocks.FirstOrDefault(b => b.Name == d.Key)).OfType<CurvatureBlock>().ToList();
        if (left.Count > 0)
            Replay(left, fallback);

        foreach (var block in left)
            Demote(block, (string)demoted[block.Name]!);
        _fallback.Restore(fallback); // the last check
        Group.Options = options;
        foreach (var (group, own) in OtherGroups.Zip(others))
            group.Options = own;
        foreach (var (group, rate) in _groups.Zip(initial))
            group.InitialLearningRate = rate ?? group.LearningRate;
        Estimate.Restore(tensors, values, Updates, awaited, events.Select(e => ((string)e![0]!, (string)e[1]!)));
        RestoreMomentum(tensors);
        takeHeader();
        (_step, RejectedSteps, _damping) = (steps, rejected, (double?)values["damping"]);
        _growth.Restore(values["growth"]);
        var (peaks, last) = (values["peaks"] as JsonArray, values["momentumRates"] as JsonArray);
        foreach (var (i, rate) in _rates.Index())
            rate.Restore(rates[i], peaks?.ElementAtOrDefault(i), last?.ElementAtOrDefault(i));
        _rules.Restore(values);
        ArmCapture();
    }

    private static string With(string? likelihood) => likelihood is null ? "without a likelihood" : $"with the likelihood {likelihood}";

    private void RestoreMomentum(IReadOnlyDictionary<string, Tensor> tensors)
    {
        foreach (var block in Estimate.Blocks)
        {
            var old = _momentum.GetValueOrDefault(block);
            if (KroneckerEstimate.Find(block, tensors)("Momentum") is { } b)
                _momentum[block] = b.clone().DetachFromDisposeScope();
            else
                _momentum.Remove(block);
            old?.Dispose();
        }
    }

    /// <summary>Throws what restoring the fall-back would once it has these blocks too, for a demotion cannot be taken back.</summary>
    private void Replay(IReadOnlyList<CurvatureBlock> blocks, OptimizerSnapshot state)
    {
        using var trial = new AdamW(
            _rates.Zip(
                _fallback.Groups,
                (rate, fallback) =>
                    new ParameterGroup<AdamW.Options>(
                        [.. fallback.Parameters, .. blocks.Where(b => _rateOf[b] == rate).SelectMany(Named)],
                        fallback.Options
                    )
            )
        );
        trial.Restore(state);
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        foreach (var block in Estimate.Blocks)
            Move(block, device);
        _fallback.to(device);
    }

    /// <summary>Whether the model moved since the block's factors or its momentum were made; a measurement takes the factors with
    /// it.</summary>
    private bool IsBehind(CurvatureBlock block) =>
        block.HasMoved || (_momentum.TryGetValue(block, out var b) && (b.dtype != block.FactorType || !b.IsOn(block.Parameters[0].device)));

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
