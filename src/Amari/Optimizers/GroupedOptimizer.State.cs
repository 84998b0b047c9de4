using System.Text.Json.Nodes;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <content>The state of parameters: made at the first gradient, moved with its module, saved, loaded, disposed of.</content>
public abstract partial class GroupedOptimizer<TOptions, TState>
{
    /// <inheritdoc/>
    public override long StateBytes => Slots.Sum(s => s.State?.Tensors().Sum(t => t.Tensor.NumberOfElements * t.Tensor.ElementSize) ?? 0);

    /// <summary>The state of a parameter before its first update; zeros of its shape and <see cref="StateType"/> as a rule.</summary>
    protected abstract TState CreateState(Parameter parameter, TOptions options);

    /// <summary>The state before the first update, its moments in their format.</summary>
    private TState NewState(Parameter parameter, TOptions options)
    {
        var state = CreateState(parameter, options);
        state.WithMoments(options.StateFormat, StateType(parameter), () => { }, keep: true, rounding: 0);
        state.IsRenewed = false;
        return state;
    }

    /// <summary>The dtype of a parameter's state: its own, but float32 for bfloat16 and float16.</summary>
    protected static ScalarType StateType(Tensor parameter) =>
        parameter.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? ScalarType.Float32 : parameter.dtype;

    /// <summary>A state tensor of zeros shaped as the parameter: contiguous, as a saved one, however the parameter lies in
    /// memory.</summary>
    protected static Tensor ZeroState(Tensor parameter) => zeros(parameter.shape, dtype: StateType(parameter), device: parameter.device);

    /// <summary>Makes the state at the first gradient, and follows the parameter when its module moved to another dtype or
    /// device.</summary>
    private void Prepare(Slot slot, TOptions options)
    {
        using var off = no_grad();
        Require.Separate(slot.Name, slot.Parameter); // it may have been frozen until now
        if (slot.State is null)
        {
            slot.State = NewState(slot.Parameter, options);
            foreach (var (_, tensor) in slot.State.Tensors())
                tensor.DetachFromDisposeScope();
            slot.Made = options;
        }
        else
        {
            var (device, type) = (slot.Parameter.device, StateType(slot.Parameter));
            foreach (var (name, tensor) in slot.State.Tensors().ToList())
            {
                // the format of moments does not depend on the parameter's dtype
                var kept = SmallState.IsSmall(tensor.dtype) || slot.State.IsScale(name) ? tensor.dtype : type;
                if (tensor.dtype != kept || !tensor.IsOn(device))
                    slot.State.Replace(name, tensor.to(kept, device));
            }
        }
        Adopt(slot, slot.Made!);
    }

    /// <summary>Takes note of a state's tensors, and what they were made with.</summary>
    private static void Adopt(Slot slot, TOptions made)
    {
        (slot.Made, slot.State!.IsRenewed) = (made, false);
        slot.StateHandles = [.. slot.State!.Tensors().Select(t => t.Tensor.Handle)];
        slot.Row = default;
        slot.Handle = slot.Parameter.Handle;
    }

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var tensors = new Dictionary<string, Tensor>();
        var (steps, made) = (new JsonObject(), new JsonObject());
        foreach (var (slot, state, shaping) in States())
        {
            steps[slot.Name] = state.Step;
            if (shaping is not null)
                made[slot.Name] = shaping;
            foreach (var (name, tensor) in state.Tensors())
                tensors[$"{slot.Name}.{name}"] = tensor;
        }
        var groups = new JsonArray([
            .. _groups.Select(g => new JsonObject
            {
                ["options"] = SavedState.Write(g.Group.Options),
                ["initialLearningRate"] = g.Group.InitialLearningRate,
                ["parameters"] = new JsonArray([.. g.Slots.Select(s => (JsonNode)s.Name)]),
            }),
        ]);
        var header = SnapshotHeader();
        (header["groups"], header["steps"], header["made"]) = (groups, steps, made);
        return new(tensors, header);
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var (tensors, values) = snapshot;
        var takeHeader = ReadSnapshotHeader(values);
        var groups = SavedGroups(values);
        FollowModules();
        List<TOptions> options = [.. groups.Select(g => SavedState.Read<TOptions>(g!["options"]))];
        RefuseUnknown(tensors);
        using var scope = NewDisposeScope();
        var states = _groups.SelectMany((g, i) => Saved(g.Slots, groups[i]!, options[i], values, tensors)).ToList();

        foreach (var slot in Slots)
            Forget(slot); // all checks have passed
        foreach (var (i, (group, _)) in _groups.Index())
            (group.Options, group.InitialLearningRate) = (
                options[i],
                (double?)groups[i]!["initialLearningRate"] ?? options[i].LearningRate
            );
        foreach (var (slot, made, state) in states)
        {
            foreach (var (_, tensor) in state.Tensors())
                tensor.DetachFromDisposeScope();
            slot.State = state;
            Adopt(slot, made);
        }
        takeHeader();
    }

    /// <summary>The saved groups, which are of the same parameters.</summary>
    private JsonArray SavedGroups(JsonObject values)
    {
        var groups = SavedState.Required(values, "groups").AsArray();
        if (groups.Count != _groups.Count)
            throw new InvalidDataException($"The state has {groups.Count} parameter groups, the optimizer has {_groups.Count}.");
        for (int i = 0; i < groups.Count; i++)
        {
            var saved = SavedState.Required(groups[i]!, "parameters").AsArray().Select(n => (string)n!);
            if (!saved.SequenceEqual(_groups[i].Slots.Select(s => s.Name)))
                throw new InvalidDataException($"Parameter group {i} of the state names other parameters than the optimizer's.");
        }
        return groups;
    }

    /// <summary>The saved states of a group's parameters, those of this rank, with the options that they were made with.</summary>
    private IEnumerable<(Slot Slot, TOptions Made, TState State)> Saved(
        List<Slot> slots,
        JsonNode group,
        TOptions options,
        JsonObject values,
        IReadOnlyDictionary<string, Tensor> tensors
    )
    {
        var (steps, made) = (SavedState.Required(values, "steps").AsObject(), values["made"] as JsonObject);
        foreach (var slot in slots.Where(s => steps.ContainsKey(s.Name) && IsMine(s)))
        {
            var own = made?[slot.Name] is { } shaping ? SavedState.Read<TOptions>(group["options"], shaping) : options;
            yield return (slot, own, Loaded(slot, own, tensors, SavedState.Count(steps, slot.Name)));
        }
    }

    private void RefuseUnknown(IReadOnlyDictionary<string, Tensor> tensors)
    {
        var known = Slots.SelectMany(s => ParameterState.Names(typeof(TState)).Keys.Select(n => $"{s.Name}.{n}")).ToHashSet();
        SavedState.RefuseUnknown([.. tensors.Keys.Where(k => !known.Contains(k))], "tensor", GetType().Name);
    }

    private TState Loaded(Slot slot, TOptions options, IReadOnlyDictionary<string, Tensor> tensors, long step)
    {
        using var off = no_grad();
        var state = NewState(slot.Parameter, options);
        var optional = ParameterState.Names(typeof(TState));
        foreach (var (name, fresh) in state.Tensors().ToList())
        {
            if (!tensors.TryGetValue($"{slot.Name}.{name}", out var saved))
            {
                if (optional[name])
                    continue;
                throw new InvalidDataException($"The state lacks '{slot.Name}.{name}'.");
            }
            if (!saved.shape.SequenceEqual(fresh.shape))
                throw new InvalidDataException(
                    $"'{slot.Name}.{name}' has the shape [{string.Join(", ", saved.shape)}], expected [{string.Join(", ", fresh.shape)}]."
                );
            if ((saved.dtype == ScalarType.Byte) != (fresh.dtype == ScalarType.Byte))
                throw new InvalidDataException(
                    $"'{slot.Name}.{name}' is {saved.dtype}, expected {fresh.dtype}: the state was kept in another format."
                );
            fresh.copy_(saved);
        }
        state.RequireNonNegative(slot.Name);
        state.Step = step;
        return state;
    }

    private static void Forget(Slot slot)
    {
        foreach (var (_, tensor) in slot.State?.Tensors() ?? [])
            tensor.Dispose();
        (slot.State, slot.Made, slot.Handle, slot.Row) = (null, null, 0, default);
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        foreach (var slot in Slots.Where(s => s.State is not null))
        {
            foreach (var (name, tensor) in slot.State!.Tensors().ToList())
                if (!tensor.IsOn(device))
                    slot.State.Replace(name, tensor.to(device));
            (slot.Handle, slot.Row) = (0, default); // the next step takes the state up again
        }
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            foreach (var slot in Slots)
                Forget(slot);
        }
        base.Dispose(disposing);
    }
}
