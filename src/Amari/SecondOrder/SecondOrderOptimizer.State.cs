using System.Text.Json.Nodes;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

// Saving, restoring and moving.
public abstract partial class SecondOrderOptimizer<TOptions>
{
    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var values = SnapshotHeader();
        values["parameters"] = new JsonArray([.. Group.Parameters.Select(p => (JsonNode)p.Name)]);
        values["dimension"] = Group.Parameters.Sum(p => p.Parameter.numel());
        values["directed"] = new JsonArray([.. _directed.Select(n => (JsonNode)n)]);
        values["options"] = SavedState.Write(Group.Options);
        values["initialLearningRate"] = Group.InitialLearningRate;
        values["steps"] = Steps;
        values["adapted"] = Adapted;
        return new(Direction is { } d ? new Dictionary<string, Tensor> { ["Direction"] = d } : [], values);
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var (tensors, values) = snapshot;
        var takeHeader = ReadSnapshotHeader(values);
        if (
            !SavedState.Required(values, "parameters").AsArray().Select(n => (string)n!).SequenceEqual(Group.Parameters.Select(p => p.Name))
            || (long)SavedState.Required(values, "dimension") != Group.Parameters.Sum(p => p.Parameter.numel())
        )
            throw new InvalidDataException("The state is of other parameters than the optimizer's.");
        var direction = tensors.GetValueOrDefault(nameof(Direction));
        List<string> directed = [.. values["directed"]?.AsArray().Select(n => (string)n!) ?? Group.Parameters.Select(p => p.Name)];
        long expected = Sizes(directed).Sum();
        if (direction is not null && (direction.dim() != 1 || direction.shape[0] != expected))
            throw new InvalidDataException(
                $"'{nameof(Direction)}' has the shape [{string.Join(", ", direction.shape)}], expected [{expected}]."
            );
        if ((double?)values["adapted"] is { } adapted)
            RequireAdapted(adapted);
        var (options, steps) = (SavedState.Read<TOptions>(values["options"]), SavedState.Count(values, "steps"));
        (Group.Options, Group.InitialLearningRate) = (options, (double?)values["initialLearningRate"] ?? options.LearningRate);
        (Steps, Adapted) = (steps, (double?)values["adapted"] is { } saved ? Within(saved, Layout().Type) : null);
        takeHeader();
        (Direction, _directed) = (direction?.clone(), directed);
        Report = null;
    }

    /// <summary>Refuses a saved <see cref="Adapted"/> that the method cannot have left.</summary>
    /// <exception cref="InvalidDataException">It is no damping and no trust radius.</exception>
    private protected virtual void RequireAdapted(double value)
    {
        if (!(value > 0 && double.IsFinite(value)))
            throw new InvalidDataException(
                FormattableString.Invariant($"The state's damping or trust radius is {value}; it must be a finite number > 0.")
            );
    }

    /// <summary>An <see cref="Adapted"/> within the bounds of the method, as an earlier version may not have kept it.</summary>
    private protected virtual double Within(double adapted, ScalarType type) => adapted;

    /// <inheritdoc/>
    public override void to(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (Direction is { } d)
            Follow(d.dtype, device);
    }
}
