using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Spectrum;

namespace Amari;

/// <summary>How the diagonal of the curvature is estimated; both without bias.</summary>
public enum DiagonalEstimate
{
    /// <summary>Gauss-Newton-Bartlett: <c>B ĝ ∘ ĝ</c>, ĝ the mean gradient over B terms whose targets are drawn from the model. At least 0.</summary>
    GaussNewtonBartlett,
    /// <summary>Hutchinson: <c>z ∘ H z</c> for random signs z, H the Hessian. Of either sign.</summary>
    Hutchinson,
}

/// <summary>Hyper-parameters of methods that scale the step by a diagonal of curvature.</summary>
public abstract record DiagonalCurvatureOptions : OptimizerOptions
{
    /// <inheritdoc cref="OptimizerOptions(double)"/>
    protected DiagonalCurvatureOptions(double learningRate) : base(learningRate) { }

    /// <summary>How it is estimated.</summary>
    public DiagonalEstimate Estimate { get; init => field = Require.Defined(value); }
    /// <summary>Steps from one estimate to the next, ≥ 1.</summary>
    public int Interval { get; init => field = Require.AtLeast(1, value); } = 10;
    /// <summary>Draws or probes of one estimate, ≥ 1.</summary>
    public int Samples { get; init => field = Require.AtLeast(1, value); } = 1;
    /// <summary>Seed of the draws; each step makes its own.</summary>
    public long Seed { get; init; }
}

/// <summary>The base of first-order methods with a diagonal of curvature: when and how it is measured.</summary>
/// <remarks>Call <see cref="Observe(Tensor, Tensor)"/> with each step's batch: it measures every <see cref="DiagonalCurvatureOptions.Interval"/> steps, or while an estimate is still missing, and costs
/// nothing between. The model is in evaluation mode meanwhile (dropout off). A step of a parameter that has no finite estimate yet is refused, before anything moves; later a missed one, or one that was not
/// finite, is told in <see cref="Optimizer.Events"/>, and the last stays.
/// Each group is measured by itself, under its own options.</remarks>
/// <typeparam name="TOptions">Hyper-parameters of a group.</typeparam>
/// <typeparam name="TState">What is remembered of a parameter.</typeparam>
public abstract class DiagonalCurvatureOptimizer<TOptions, TState> : GroupedOptimizer<TOptions, TState>
    where TOptions : DiagonalCurvatureOptions where TState : ParameterState
{
    private readonly nn.Module<Tensor, Tensor>? _model;
    private readonly Likelihood? _likelihood;
    private Communicator _ranks = SingleProcess.Instance;
    private readonly HashSet<string> _measured = [];             // parameters that an estimate was taken for
    private long _observedAt = -1;

    private protected DiagonalCurvatureOptimizer(IEnumerable<ParameterGroup<TOptions>> groups, nn.Module<Tensor, Tensor>? model, Likelihood? likelihood) : base(groups) =>
        (_model, _likelihood) = (model, likelihood);

    /// <summary>Takes a new estimate of a parameter's diagonal into its state.</summary>
    /// <param name="diagonal">ĥ, shaped as the parameter, of the dtype of the state; not to be changed.</param>
    /// <param name="state">The parameter's state.</param>
    /// <param name="options">The group's options.</param>
    private protected abstract void Accumulate(Tensor diagonal, TState state, TOptions options);

    /// <summary>Over the ranks of a communicator: <see cref="Observe(Tensor, Tensor)"/> measures on the batch of all ranks, of which each shows its part. Probes are the
    /// same on all ranks, drawn targets differ: ĝ is the mean gradient over all ranks' terms.</summary>
    /// <inheritdoc/>
    /// <exception cref="NotSupportedException">The state is to be divided.</exception>
    public override void Distribute(Communicator communicator, bool shardState = false)
    {
        base.Distribute(communicator, shardState);
        _ranks = communicator;
    }

    private long Steps => Groups.Max(StepsOf);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The optimizer was made without a model and a likelihood.</exception>
    public override void Observe(Tensor inputs, Tensor targets)
    {
        foreach (var group in Groups)
        {
            long step = StepsOf(group);
            if (step % group.Options.Interval != 0 && group.Parameters.All(p => _measured.Contains(p.Name))) continue;
            if (_model is null || _likelihood is null)
                throw new InvalidOperationException($"This {GetType().Name} was made without a model and a likelihood: give Observe(diagonal) the estimates instead.");
            using var scope = NewDisposeScope();
            ForEach(group, (_, _, _) => { });                    // the parameters as they are now, for module.to makes new ones
            var objective = new Objective(_model, _likelihood, [(inputs, targets)], new ParameterLayout(group.Parameters)) { Ranks = _ranks };
            long seed = unchecked(group.Options.Seed * 1_000_003L + step);
            var diagonal = group.Options.Estimate == DiagonalEstimate.Hutchinson
                ? Hutchinson.Diagonal(new Hessian(objective), group.Options.Samples, seed)
                : FisherDiagonal.Of(objective, group.Options.Samples, seed);
            Take(group, objective.Parameters.Split(diagonal));
        }
        _observedAt = Steps;
    }

    /// <summary>Takes estimates that were made elsewhere, at any step: for models and losses that <see cref="Observe(Tensor, Tensor)"/> cannot call.</summary>
    /// <param name="diagonal">ĥ of every parameter, in the order of <see cref="GroupedOptimizer{TOptions, TState}.parameters"/> and shaped alike. Not owned.</param>
    /// <exception cref="ArgumentException">Another number of tensors, or other shapes.</exception>
    public void Observe(IReadOnlyList<Tensor> diagonal)
    {
        ArgumentNullException.ThrowIfNull(diagonal);
        var shapes = parameters().Select(p => p.shape).ToList();
        if (diagonal.Count != shapes.Count || diagonal.Zip(shapes).Any(d => !d.First.shape.SequenceEqual(d.Second)))
            throw new ArgumentException($"The diagonal must be {shapes.Count} tensors shaped as the parameters.", nameof(diagonal));
        _observedAt = Steps;
        int taken = 0;
        foreach (var group in Groups)
        {
            Take(group, [.. diagonal.Skip(taken).Take(group.Parameters.Count)]);
            taken += group.Parameters.Count;
        }
    }

    private void Take(ParameterGroup<TOptions> group, IReadOnlyList<Tensor> diagonal)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        int i = 0;
        ForEach(group, (name, parameter, state) =>
        {
            var estimate = diagonal[i++].to_type(StateType(parameter));
            if (estimate.isfinite().all().ToBoolean())
            {
                Accumulate(estimate, state, group.Options);
                _measured.Add(name);
            }
            else Tell(name, "an estimate of its curvature was not finite and was not used", state.Step + 1);
        });
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The curvature of a parameter that has a gradient was never measured, or no estimate of it was finite.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        long steps = Steps;
        if (_observedAt != steps && Groups.Any(g => StepsOf(g) % g.Options.Interval == 0) && steps > 0)
            Tell("all", "the curvature was due but no batch was shown to Observe(); the last estimate stays", steps + 1);
        return base.step(closure);
    }

    internal override void StepScaled(double scale)
    {
        if (WithGradient().FirstOrDefault(n => !_measured.Contains(n)) is { } name)
            throw new InvalidOperationException($"The curvature of {name} was never measured, or not to finite numbers: call Observe(inputs, targets) with the batch before step().");
        base.StepScaled(scale);
    }

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var snapshot = base.Snapshot();
        snapshot.Values["measured"] = new JsonArray([.. _measured.Order().Select(n => (JsonNode)n)]);
        return snapshot;
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        base.Restore(snapshot);
        _measured.Clear();
        foreach (var name in snapshot.Values["measured"]?.AsArray() ?? []) _measured.Add((string)name!);
    }
}
