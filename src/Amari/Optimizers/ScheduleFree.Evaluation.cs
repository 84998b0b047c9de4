using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <content>The average x in the parameters, and the training point y again.</content>
public sealed partial class ScheduleFree
{
    private bool _evaluating;

    /// <inheritdoc/>
    /// <remarks>They hold the average x.</remarks>
    public override bool Evaluating => _evaluating;

    /// <inheritdoc/>
    /// <remarks>Weights that were loaded meanwhile, so that a parameter no longer holds x bit for bit, are kept: they become its y, its x
    /// and its z, and <see cref="Optimizer.Events"/> say so.</remarks>
    public override void Train()
    {
        if (!Evaluating)
            return;
        Adopt();
        using var off = no_grad();
        ForEach(
            (_, parameter, state) =>
            {
                parameter.copy_(state.TrainingPoint!);
                state.TrainingPoint!.Dispose();
                (state.TrainingPoint, state.Evaluated) = (null, null);
                state.Left.Take(parameter);
            }
        );
        _evaluating = false;
    }

    /// <summary>Takes weights that were loaded in evaluation as y, x and z.</summary>
    private void Adopt()
    {
        using var off = no_grad();
        ForEach(
            (name, parameter, state) =>
            {
                using var scope = NewDisposeScope();
                if (state.Evaluated is null || HoldsAverage(parameter, state))
                    return;
                state.TrainingPoint!.copy_(parameter);
                state.Evaluated = parameter.dtype;
                Adopt(name, parameter, state, "evaluated");
            }
        );
    }

    /// <summary>Takes weights that were loaded in training as x and z: they are y already.</summary>
    private void AdoptTraining()
    {
        using var off = no_grad();
        ForEach(
            (name, parameter, state) =>
            {
                if (!state.Left.IsReplaced(parameter))
                    return;
                state.Left.Take(parameter);
                Adopt(name, parameter, state, "trained");
            }
        );
    }

    private void Adopt(string name, Parameter parameter, State state, string when)
    {
        string message = $"Schedule-Free: weights were loaded while it {when}; training goes on from them, as average and as iterate";
        state.Iterate.copy_(parameter);
        Warnings.Once(message);
        Log(name, message, state.Step);
    }

    /// <summary>x, of the dtype of the state.</summary>
    private static Tensor Average(State state) =>
        state.Share.ToDouble() is > 0 and var share ? state.TrainingPoint!.lerp(state.Iterate, 1 - 1 / share) : state.TrainingPoint!;

    private static bool HoldsAverage(Tensor parameter, State state) =>
        parameter.eq(Average(state).to_type(state.Evaluated ?? parameter.dtype).to(parameter.dtype, parameter.device)).all().ToBoolean();

    /// <inheritdoc/>
    /// <remarks>Meanwhile y is kept as well: one more tensor. Weights that were loaded in training since the last step become x and z, too,
    /// and <see cref="Optimizer.Events"/> say so. They are known by a sample of 64 numbers of each parameter, of which more than half
    /// changed: a constraint on a few weights is no load. Parameters that are not contiguous or not on the CPU have no sample, and their x
    /// is computed from the new y and the old z: load their weights after <see cref="Eval"/>, and go on with <see cref="Train"/>.</remarks>
    public override void Eval()
    {
        if (Evaluating)
            return;
        AdoptTraining();
        using var off = no_grad();
        ForEach(
            (_, parameter, state) =>
            {
                using var scope = NewDisposeScope();
                state.TrainingPoint = parameter.detach().to(StateType(parameter), copy: true).DetachFromDisposeScope();
                parameter.copy_(Average(state));
                state.Evaluated = parameter.dtype;
            }
        );
        _evaluating = true;
    }

    /// <inheritdoc/>
    /// <remarks>Weights that were loaded meanwhile are taken as by <see cref="Train"/> and <see cref="Eval"/>, so that they are saved,
    /// too.</remarks>
    public override OptimizerSnapshot Snapshot()
    {
        if (Evaluating)
            Adopt();
        else
            AdoptTraining();
        var snapshot = base.Snapshot();
        snapshot.Values["evaluating"] = Evaluating;
        return snapshot;
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        using var scope = NewDisposeScope();
        bool evaluating = (bool?)snapshot.Values["evaluating"] ?? false;
        var points = new Dictionary<string, Tensor>(); // copied first: the snapshot may be of this optimizer, whose state now goes
        string[] names = evaluating ? [.. snapshot.Values["steps"]!.AsObject().Select(s => s.Key)] : [];
        foreach (string name in names)
        {
            if (!snapshot.Tensors.TryGetValue($"{name}.{nameof(State.TrainingPoint)}", out var point))
                throw new InvalidDataException($"The state lacks '{name}.{nameof(State.TrainingPoint)}'.");
            points[name] = point.clone();
        }
        base.Restore(snapshot);
        _evaluating = evaluating;
        if (!Evaluating)
            return;
        using var off = no_grad();
        ForEach(
            (name, parameter, state) =>
            {
                state.TrainingPoint = points[name].DetachFromDisposeScope();
                if (HoldsAverage(parameter, state))
                    state.Evaluated = parameter.dtype; // else the model's weights are still to be loaded
            }
        );
    }
}
