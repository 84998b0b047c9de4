using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Optimizers;

namespace Amari;

/// <content>The state: who trained what, and the states of both methods.</content>
public sealed partial class PartitionedOptimizer
{
    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var tensors = new Dictionary<string, Tensor>();
        var groups = new JsonArray();
        foreach (var (i, part) in _parts.Index())
        {
            var values = new JsonObject
            {
                ["options"] = JsonSerializer.SerializeToNode(Settings.Describe(part.Group.Options)),
                ["initialLearningRate"] = part.Group.InitialLearningRate,
                ["routes"] = Routes(part),
                ["reasons"] = new JsonObject(part.Rows.Select(r => KeyValuePair.Create(r.Parameter, (JsonNode?)r.Reason))),
                ["growth"] = part.Growth.ToJson(),
            };
            foreach (var (name, member) in part.Members())
            {
                var inner = member.Optimizer.Snapshot();
                values[name] = inner.Values;
                foreach (var (key, tensor) in inner.Tensors)
                    tensors[Prefix(i, name) + key] = tensor;
            }
            groups.Add(values);
        }
        var header = SnapshotHeader();
        (header["groups"], header["steps"]) = (groups, Steps);
        return new(tensors, header);
    }

    private static string Prefix(int group, string member) => FormattableString.Invariant($"{group}.{member}.");

    private static JsonObject Routes(Part part) => new(part.Rows.Select(r => KeyValuePair.Create(r.Parameter, (JsonNode?)r.Block)));

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var (tensors, values) = snapshot;
        var takeHeader = ReadSnapshotHeader(values);
        long steps = SavedState.Count(values, "steps", optional: true);
        var groups = SavedState.Required(values, "groups").AsArray();
        if (groups.Count != _parts.Count)
            throw new InvalidDataException($"The state has {groups.Count} parameter groups, the optimizer has {_parts.Count}.");
        FollowModules();
        using var scope = NewDisposeScope();
        var parts = new List<Part>(); // new ones, for who trains what is as in the state
        var options = new List<Options>();
        try
        {
            foreach (var (i, part) in _parts.Index())
            {
                var saved = groups[i]!;
                options.Add(
                    (Options)
                        Settings.Restore(typeof(Options), SavedState.Required(saved, "options").Deserialize<Dictionary<string, string>>()!)
                );
                parts.Add(PartOf(part.Group, options[i], Rows(i, part, options[i], saved)));
            }
            if (_distributed is { } d)
                Share(parts, d.Ranks, d.Shard);
            foreach (var (i, part) in parts.Index())
            {
                foreach (var (name, member) in part.Members())
                    member.Optimizer.Restore(
                        new(
                            tensors
                                .Where(t => t.Key.StartsWith(Prefix(i, name), StringComparison.Ordinal))
                                .ToDictionary(t => t.Key[Prefix(i, name).Length..], t => t.Value),
                            groups[i]![name] as JsonObject
                                ?? throw new InvalidDataException($"Parameter group {i} of the state lacks '{name}'.")
                        )
                    );
                part.Growth.Restore(groups[i]!["growth"]);
            }
        }
        catch
        {
            Dispose(parts);
            throw;
        }
        Dispose(_parts);
        _parts = parts;
        foreach (var (i, part) in parts.Index())
            (part.Group.Options, part.Group.InitialLearningRate) = (
                options[i],
                (double?)groups[i]!["initialLearningRate"] ?? options[i].LearningRate
            );
        Steps = steps;
        takeHeader();
    }

    /// <summary>Who trains what by a state, whatever the options were when this optimizer was made.</summary>
    private static IReadOnlyList<CoverageRow> Rows(int index, Part part, Options options, JsonNode saved)
    {
        var routes = saved["routes"]?.AsObject() ?? throw new InvalidDataException($"Parameter group {index} of the state lacks 'routes'.");
        if (!routes.Select(r => r.Key).SequenceEqual(part.Rows.Select(r => r.Parameter)))
            throw new InvalidDataException($"Parameter group {index} of the state names other parameters than the optimizer's.");
        if (options.MatrixOptimizer.GetType() != part.Group.Options.MatrixOptimizer.GetType())
            throw new InvalidDataException(
                $"Parameter group {index} of the state has {options.MatrixOptimizer.GetType().DeclaringType!.Name} as its matrix method, "
                    + $"the optimizer has {part.Group.Options.MatrixOptimizer.GetType().DeclaringType!.Name}."
            );
        return
        [
            .. part.Rows.Select(r =>
                (string)routes[r.Parameter]! is var block && (string?)saved["reasons"]?[r.Parameter] is { } reason
                    ? new CoverageRow(r.Parameter, block, reason)
                : block == r.Block ? r
                : new(r.Parameter, block, "as in the state that was loaded")
            ),
        ];
    }
}
