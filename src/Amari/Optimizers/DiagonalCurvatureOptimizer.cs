using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Spectrum;

namespace Amari;

/// <summary>The base of first-order methods that estimate the diagonal of the curvature: when and how it is measured.</summary>
/// <remarks>Call <see cref="UpdateCurvature(Tensor, Tensor)"/> with the batch of each step. It measures every
/// <see cref="DiagonalCurvatureOptions.Interval"/> steps, or while an estimate is missing, and otherwise costs nothing. During a
/// measurement the model is in evaluation mode (dropout off). An estimate takes effect with the step of its batch; if the gradient of the
/// batch is not finite, both are skipped. If a parameter has no finite estimate yet, its step is refused before anything moves. If a later
/// estimate is missing or not finite, the last one is kept, and <see cref="Optimizer.Events"/> reports it. Each group is measured
/// separately, with its own options.</remarks>
/// <typeparam name="TOptions">The options of a group.</typeparam>
/// <typeparam name="TState">The state of a parameter.</typeparam>
public abstract class DiagonalCurvatureOptimizer<TOptions, TState> : GroupedOptimizer<TOptions, TState>
    where TOptions : DiagonalCurvatureOptions
    where TState : ParameterState
{
    private readonly nn.Module<Tensor, Tensor>? _model;
    private readonly Likelihood? _likelihood;
    private Communicator _ranks = SingleProcess.Instance;
    private readonly HashSet<string> _measured = []; // parameters that an estimate was taken for
    private readonly List<(string Name, Tensor Diagonal)> _pending = []; // of the batch whose step is to come; owned
    private long _observedAt = -1;

    private protected DiagonalCurvatureOptimizer(
        IEnumerable<ParameterGroup<TOptions>> groups,
        nn.Module<Tensor, Tensor>? model,
        Likelihood? likelihood
    )
        : base(groups) => (_model, _likelihood) = (model, likelihood);

    /// <summary>Takes a new estimate of a parameter's diagonal into its state.</summary>
    /// <param name="diagonal">ĥ, shaped as the parameter, of the dtype of the state; not to be changed.</param>
    /// <param name="state">The parameter's state.</param>
    /// <param name="options">The group's options.</param>
    private protected abstract void Accumulate(Tensor diagonal, TState state, TOptions options);

    /// <summary>Over the ranks of a communicator: <see cref="UpdateCurvature(Tensor, Tensor)"/> measures on the batch of all ranks, of
    /// which each shows its part. Probes are the same on all ranks, and targets are drawn by an example's place in the whole batch: ĝ is
    /// the mean gradient over all ranks' terms.</summary>
    internal override void Share(Communicator communicator, bool shardState)
    {
        base.Share(communicator, shardState);
        _ranks = communicator;
    }

    private long Steps => Groups.Max(StepsOf);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The optimizer was made without a model and a likelihood.</exception>
    public override void UpdateCurvature(Tensor inputs, Tensor targets)
    {
        BatchPart? place = null;
        foreach (var group in Groups)
        {
            long step = StepsOf(group);
            var trained = Trained(group).ToHashSet();
            if (trained.Count == 0 || (step % group.Options.Interval != 0 && trained.All(IsMeasured)))
                continue;
            if (_model is null || _likelihood is null)
                throw new InvalidOperationException(
                    $"This {GetType().Name} was made without a model and a likelihood: give UpdateCurvature(diagonal) the estimates "
                        + "instead."
                );
            using var scope = NewDisposeScope();
            place ??= PartAmong(_ranks, inputs.shape[0]);
            var parameters = group.Parameters.Where(p => trained.Contains(p.Name)).ToList();
            var objective = new Objective(_model, _likelihood, [(inputs, targets)], new ParameterLayout(parameters))
            {
                Ranks = _ranks,
                Part = place,
            };
            long seed = unchecked(group.Options.Seed * 1_000_003L + step);
            var diagonal =
                group.Options.Estimate == DiagonalEstimate.Hutchinson
                    ? Hutchinson.Diagonal(new Hessian(objective), group.Options.Samples, seed)
                    : FisherDiagonal.Of(objective, group.Options.Samples, seed);
            foreach (var ((name, parameter), part) in parameters.Zip(objective.Parameters.Split(diagonal)))
                if (IsFinite(name, part, step))
                    _pending.Add((name, part.to_type(StateType(parameter)).clone().DetachFromDisposeScope()));
        }
        _observedAt = Steps;
    }

    private bool IsMeasured(string name) => _measured.Contains(name) || _pending.Exists(p => p.Name == name);

    /// <summary>Takes estimates that were made elsewhere. They take effect at once, at any step. For models and losses that
    /// <see cref="UpdateCurvature(Tensor, Tensor)"/> cannot call.</summary>
    /// <param name="diagonal">ĥ of every parameter, in the order and with the shapes of
    /// <see cref="GroupedOptimizer{TOptions, TState}.parameters"/>. Those of frozen parameters are not used, and may be null. Not
    /// owned.</param>
    /// <exception cref="ArgumentException">The number of tensors or a shape is different.</exception>
    public void UpdateCurvature(IReadOnlyList<Tensor?> diagonal)
    {
        ArgumentNullException.ThrowIfNull(diagonal);
        var all = parameters().ToList();
        if (
            diagonal.Count != all.Count
            || !diagonal.Zip(all).All(d => d.First?.shape.SequenceEqual(d.Second.shape) ?? !d.Second.requires_grad)
        )
            throw new ArgumentException($"The diagonal must be {all.Count} tensors shaped as the parameters.", nameof(diagonal));
        _observedAt = Steps;
        using var off = no_grad();
        int taken = 0;
        foreach (var group in Groups)
        {
            var own = group.Parameters.Select((p, i) => (p.Name, Diagonal: diagonal[taken + i])).ToDictionary(p => p.Name, p => p.Diagonal);
            ForEach(
                group,
                (name, _, state) =>
                {
                    if (own[name] is { } d && IsFinite(name, d, state.Step))
                        Take(name, d, state, group.Options);
                },
                keep: true
            );
            taken += group.Parameters.Count;
        }
    }

    /// <summary>Whether an estimate can be used; squares of it have to be finite, too.</summary>
    private bool IsFinite(string name, Tensor diagonal, long step)
    {
        if (diagonal.numel() == 0 || GradientCheck.LargestMagnitude(diagonal) <= Kernels.GradientBound.Of(StateType(diagonal)))
            return true;
        Log(name, "an estimate of its curvature was not finite and was not used", step + 1);
        return false;
    }

    private void Take(string name, Tensor diagonal, TState state, TOptions options)
    {
        using var scope = NewDisposeScope();
        var measured = diagonal.to_type(StateType(diagonal));
        Accumulate(options.Maximize ? measured.neg() : measured, state, options);
        _measured.Add(name);
    }

    /// <summary>The estimates of the last batch become part of the state.</summary>
    private void TakePending()
    {
        if (_pending.Count == 0)
            return;
        using var off = no_grad();
        foreach (var group in Groups)
            ForEach(
                group,
                (name, _, state) =>
                {
                    foreach (var (_, diagonal) in _pending.Where(p => p.Name == name))
                        Take(name, diagonal, state, group.Options);
                },
                keep: true
            );
        DropPending();
    }

    private void DropPending()
    {
        foreach (var (_, diagonal) in _pending)
            diagonal.Dispose();
        _pending.Clear();
    }

    /// <inheritdoc/>
    internal override void Skip()
    {
        DropPending();
        _observedAt = -1;
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The curvature of a parameter that has a gradient was never measured, or no estimate of
    /// it was finite.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        long steps = Steps;
        if (_observedAt != steps && Groups.Any(g => StepsOf(g) % g.Options.Interval == 0) && steps > 0)
            Log("all", "the curvature was due but no batch was shown to UpdateCurvature(); the last estimate stays", steps + 1);
        return base.step(closure);
    }

    private protected override void Stepping()
    {
        if (WithGradient().FirstOrDefault(n => !IsMeasured(n)) is { } name)
            throw new InvalidOperationException(
                $"The curvature of {name} was never measured, or not to finite numbers: call UpdateCurvature(inputs, targets) with the "
                    + "batch before step()."
            );
        TakePending();
    }

    /// <inheritdoc/>
    /// <remarks>Estimates of a batch whose step is still to come are taken first.</remarks>
    public override OptimizerSnapshot Snapshot()
    {
        TakePending();
        var snapshot = base.Snapshot();
        snapshot.Values["measured"] = new JsonArray([.. _measured.Order().Select(n => (JsonNode)n)]);
        return snapshot;
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        base.Restore(snapshot);
        DropPending();
        _measured.Clear();
        foreach (var name in snapshot.Values["measured"]?.AsArray() ?? [])
            _measured.Add((string)name!);
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        TakePending();
        base.to(device);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            DropPending();
        base.Dispose(disposing);
    }
}
