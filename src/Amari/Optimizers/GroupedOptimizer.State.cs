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
            slot.State = CreateState(slot.Parameter, options);
            foreach (var (_, tensor) in slot.State.Tensors())
                tensor.DetachFromDisposeScope();
            slot.Made = options;
        }
        else
        {
            var (device, type) = (slot.Parameter.device, StateType(slot.Parameter));
            // its format does not depend on the parameter's dtype
            bool small = slot.State.Tensors().Any(t => SmallState.IsSmall(t.Tensor.dtype));
            foreach (var (name, tensor) in slot.State.Tensors().ToList())
                if (small)
                {
                    if (!tensor.IsOn(device))
                        slot.State.Replace(name, tensor.to(device));
                }
                else if (tensor.dtype != type || !tensor.IsOn(device))
                    slot.State.Replace(name, tensor.to(type, device));
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
        return new(
            tensors,
            new()
            {
                ["type"] = GetType().Name,
                ["schema"] = SavedState.Schema,
                ["groups"] = groups,
                ["steps"] = steps,
                ["made"] = made,
                ["clippedSteps"] = ClippedSteps,
                ["skippedSteps"] = SkippedSteps,
                ["events"] = _events.Save(),
            }
        );
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var (tensors, values) = snapshot;
        SavedState.RequireHeader(values, GetType().Name);
        var groups = SavedState.Required(values, "groups").AsArray();
        if (groups.Count != _groups.Count)
            throw new InvalidDataException($"The state has {groups.Count} parameter groups, the optimizer has {_groups.Count}.");
        for (int i = 0; i < groups.Count; i++)
        {
            var saved = SavedState.Required(groups[i]!, "parameters").AsArray().Select(n => (string)n!);
            if (!saved.SequenceEqual(_groups[i].Slots.Select(s => s.Name)))
                throw new InvalidDataException($"Parameter group {i} of the state names other parameters than the optimizer's.");
        }
        FollowModules();
        List<(TOptions Options, JsonNode Saved)> given = [.. groups.Select(g => (SavedState.Read<TOptions>(g!["options"]), g))];
        var (steps, made) = (SavedState.Required(values, "steps").AsObject(), values["made"] as JsonObject);
        var (clipped, skipped) = (
            SavedState.Count(values, "clippedSteps", optional: true),
            SavedState.Count(values, "skippedSteps", optional: true)
        );
        RefuseUnknown(tensors);
        using var scope = NewDisposeScope();
        var states = _groups
            .Zip(
                given,
                (g, saved) =>
                    g
                        .Slots.Where(s => steps.ContainsKey(s.Name) && IsMine(s))
                        .Select(s =>
                        {
                            var own = made?[s.Name] is { } shaping
                                ? SavedState.Read<TOptions>(saved.Saved["options"], shaping)
                                : saved.Options;
                            return (Slot: s, Made: own, State: Loaded(s, own, tensors, SavedState.Count(steps, s.Name)));
                        })
            )
            .SelectMany(s => s)
            .ToList();

        foreach (var slot in Slots)
            Forget(slot); // all checks have passed
        foreach (var ((group, _), (options, saved)) in _groups.Zip(given))
            (group.Options, group.InitialLearningRate) = (options, (double?)saved["initialLearningRate"] ?? options.LearningRate);
        foreach (var (slot, own, state) in states)
        {
            foreach (var (_, tensor) in state.Tensors())
                tensor.DetachFromDisposeScope();
            slot.State = state;
            Adopt(slot, own);
        }
        (ClippedSteps, SkippedSteps) = (clipped, skipped);
        _events.Load(values["events"]);
    }

    private void RefuseUnknown(IReadOnlyDictionary<string, Tensor> tensors)
    {
        var known = Slots.SelectMany(s => ParameterState.Names(typeof(TState)).Keys.Select(n => $"{s.Name}.{n}")).ToHashSet();
        SavedState.RefuseUnknown([.. tensors.Keys.Where(k => !known.Contains(k))], "tensor", GetType().Name);
    }

    private TState Loaded(Slot slot, TOptions options, IReadOnlyDictionary<string, Tensor> tensors, long step)
    {
        using var off = no_grad();
        var state = CreateState(slot.Parameter, options);
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
