using System.Text.Json.Nodes;
using Amari.Kronecker;
using Amari.Native;

namespace Amari.Curvature;

// Saving, restoring and moving: a part of the state of the method that owns the estimate.
public sealed partial class KroneckerEstimate
{
    /// <summary>Adds to a snapshot what continues the estimate.</summary>
    internal void Save(Dictionary<string, Tensor> tensors, JsonObject values)
    {
        foreach (var block in _blocks)
        foreach (var (name, tensor) in _sharing is null ? block.Tensors() : block.Factors().Concat(_sharing.Saved(block)))
            tensors[$"{block.Name}.{name}"] = tensor;
        tensors["generator"] = _generator.get_state();
        values["blocks"] = new JsonObject(_blocks.Select(b => KeyValuePair.Create(b.Name, (JsonNode?)b.Updates)));
        values["refreshedShares"] = new JsonObject(_blocks.Select(b => KeyValuePair.Create(b.Name, (JsonNode?)b.RefreshedShare)));
        values["awaited"] = new JsonArray([
            .. _blocks.Where(b => b is { IsAwaited: true, IsMeasured: false }).Select(b => (JsonNode)b.Name),
        ]);
        values["remeasures"] = IsDue;
        values["schedule"] = _schedule.ToJson();
        values["inverses"] = _inverter.ToJson();
    }

    /// <summary>Throws what restoring the same would.</summary>
    /// <param name="tensors">Of the snapshot.</param>
    /// <param name="updates">By block, how often its factors were updated.</param>
    internal void Check(IReadOnlyDictionary<string, Tensor> tensors, Func<string, long?> updates)
    {
        if (!tensors.TryGetValue("generator", out var generator))
            throw new InvalidDataException("The state lacks 'generator'.");
        RandomState.Require("generator", generator);
        foreach (var block in _blocks)
            if (updates(block.Name) is { } count)
            {
                CheckShapes(block, tensors);
                block.Check(Find(block, tensors), count);
            }
    }

    /// <summary>Continues from a snapshot that was checked, of the same blocks.</summary>
    internal void Restore(
        IReadOnlyDictionary<string, Tensor> tensors,
        JsonNode values,
        Func<string, long?> updates,
        HashSet<string> awaited,
        IEnumerable<(string, string)> logged
    )
    {
        IsDue = (bool?)values["remeasures"] ?? false; // what is malformed is found before factors change
        var shares = _blocks.ConvertAll(b => (double?)values["refreshedShares"]?[b.Name] ?? 0); // of older states: refresh when due
        _schedule.Restore(values["schedule"] as JsonObject);
        _inverter.Restore(values["inverses"] as JsonObject);
        foreach (var (block, share) in _blocks.Zip(shares))
        {
            block.Restore(Find(block, tensors), updates(block.Name)!.Value);
            (block.IsAwaited, block.RefreshedShare) = (awaited.Contains(block.Name), share);
        }
        _sharing?.Restored(_blocks);
        _generator.set_state(tensors["generator"]);
        Capture.Draws = 0; // every rank has the same generator now
        Capture.Reset();
        Capture.MarkReported(logged);
        _finished = null;
        _isInverted = _blocks.Exists(HasInverse);
    }

    /// <summary>The saved tensors of a block by member, also of a model that had another type.</summary>
    internal static Func<string, Tensor?> Find(CurvatureBlock block, IReadOnlyDictionary<string, Tensor> tensors) =>
        member =>
            tensors.GetValueOrDefault($"{block.Name}.{member}") is { } saved
                ? saved.dtype is ScalarType.Float32 or ScalarType.Float64
                    ? saved.to_type(block.FactorType)
                    : saved
                : null;

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
}
