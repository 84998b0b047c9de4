using System.Runtime.CompilerServices;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Partitioned;

namespace Amari;

/// <summary>A matrix method (Muon, SOAP, Shampoo or K-FAC) for the matrices of a model, and AdamW for the rest.</summary>
/// <remarks>The rules are tried in this order. A parameter goes to AdamW if one of them holds:
/// <code>
/// 1  its group has FallbackOnly
/// 2  it has fewer than two dimensions (with K-FAC, a bias goes with the matrix of its layer)
/// 3  it is an embedding, and Embeddings is false
/// 4  it is the output layer (the last matrix in the order of named_parameters), and OutputLayer is false, as by default with Muon
/// 5  a side, flattened to [out, in ..], is longer than MaxDimension
/// 6  K-FAC has no block for its layer
/// </code>
/// All others go to the matrix method. <see cref="Coverage"/> lists the method of each parameter, and the reason. Schedulers drive η of a
/// group, which multiplies the rates of both methods. Each group has its own instance of the matrix method, so K-FAC's KL clip bounds each
/// group separately.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new PartitionedOptimizer(
///     model,
///     new PartitionedOptimizer.Options { MatrixOptimizer = new Muon.Options { LearningRate = 0.02 } }
/// );
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// Console.WriteLine(optimizer.Coverage);   // which method trains each parameter, and why
/// </code></example>
public sealed partial class PartitionedOptimizer : Optimizer, optim.IMomentum
{
    private readonly nn.Module _model; // held, for its parameters' sake
    private readonly Likelihood? _likelihood;
    private List<Part> _parts = [];
    private (Communicator Ranks, bool Shard)? _distributed;

    /// <summary>A group and who trains it; null where a method has nothing to do.</summary>
    private sealed record Part(ParameterGroup<Options> Group, IReadOnlyList<CoverageRow> Rows, Member? MatrixOptimizer, Member? Fallback)
    {
        /// <summary>Of the norm of AdamW's gradients.</summary>
        public GrowthBound Growth { get; } = new();

        public IEnumerable<(string Name, Member Member)> Members()
        {
            if (MatrixOptimizer is not null)
                yield return ("matrices", MatrixOptimizer);
            if (Fallback is not null)
                yield return ("rest", Fallback);
        }
    }

    /// <summary>An optimizer and the way to give it the group's options.</summary>
    private sealed record Member(Optimizer Optimizer, Action<Options> Follow);

    /// <param name="model">The model that the parameters belong to. Not owned.</param>
    /// <param name="groups">At least one, of the model's parameters. A parameter belongs to one group only.</param>
    /// <param name="likelihood">For K-FAC: p(y | f) of the model's output; without it, its Fisher is empirical.</param>
    [OverloadResolutionPriority(-1)] // new() { .. } is options
    public PartitionedOptimizer(nn.Module model, IEnumerable<ParameterGroup<Options>> groups, Likelihood? likelihood = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(groups);
        (_model, _likelihood) = (model, likelihood);
        var routing = new Routing(model);
        var (names, handles) = (new HashSet<string>(), new HashSet<nint>());
        foreach (var group in groups)
        {
            group.Distinguish(names);
            group.MomentumCut = message => EventLog.Add("all", message, Steps);
            foreach (var (name, parameter) in group.Parameters)
                if (!names.Add(name) || !handles.Add(parameter.Handle))
                    throw new ArgumentException($"The parameter '{name}' is given twice.", nameof(groups));
            _parts.Add(PartOf(group, group.Options, routing.Rows(model, group.Parameters, group.Options)));
        }
        if (_parts.Count == 0)
            throw new ArgumentException("There is no parameter group.", nameof(groups));
        Require.Trainable(parameters(), nameof(PartitionedOptimizer));
    }

    internal override void RefuseUnshareable(int ranks, bool shardState)
    {
        foreach (var member in Members)
            member.RefuseUnshareable(ranks, shardState && member is AdamW);
    }

    internal override void Share(Communicator communicator, bool shardState)
    {
        Share(_parts, communicator, shardState);
        _distributed = (communicator, shardState);
    }

    private static void Share(IEnumerable<Part> parts, Communicator communicator, bool shardState)
    {
        foreach (var (_, member) in parts.SelectMany(p => p.Members()))
            member.Optimizer.Share(communicator, shardState && member.Optimizer is AdamW);
    }

    private protected override IEnumerable<OptimizerOptions> OptionsOfGroups => Groups.Select(g => g.Options);

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    public PartitionedOptimizer(nn.Module model, Options? options = null, Likelihood? likelihood = null)
        : this(model, [ParameterGroup.Of(model, options ?? new())], likelihood) { }

    private IEnumerable<Optimizer> Members => _parts.SelectMany(p => p.Members()).Select(m => m.Member.Optimizer);

    /// <summary>The user's parameter groups with their typed options.</summary>
    public IReadOnlyList<ParameterGroup<Options>> Groups => [.. _parts.Select(p => p.Group)];

    /// <inheritdoc/>
    public override IEnumerable<optim.ILearningRateController> ParamGroups => Groups;

    // OneCycleLR and CyclicLR ask the optimizer for it, and then drive the groups.
    double optim.IMomentum.Momentum
    {
        get => _parts[0].Group.Momentum;
        set => _parts.ForEach(p => p.Group.Momentum = value);
    }

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => Members.SelectMany(m => m.parameters());

    /// <inheritdoc/>
    public override Coverage Coverage =>
        new([
            .. _parts.SelectMany(p =>
            {
                var now = p.MatrixOptimizer?.Optimizer.Coverage.Rows.ToDictionary(r => r.Parameter) ?? [];
                return p.Rows.Zip(p.Group.Parameters, (r, q) => (now.GetValueOrDefault(r.Parameter) ?? r).AsTrained(q.Parameter));
            }),
        ]);

    /// <inheritdoc/>
    public override IReadOnlyList<OptimizerEvent> Events => [.. EventLog.Events, .. Members.SelectMany(m => m.Events)];

    /// <inheritdoc/>
    public override long StateBytes => Members.Sum(m => m.StateBytes);

    /// <summary>One step of every parameter that has a gradient.</summary>
    /// <param name="closure">Optional: computes and returns the loss, including its gradients. It is called first.</param>
    /// <returns>The closure's loss, or null.</returns>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        RequireState();
        Tensor? loss = null;
        if (closure is not null)
            using (enable_grad())
                loss = closure();
        double scale = MaxGradientNorm is null ? 1 : ClipScale(SumOfSquaredGradients());
        var bad = NonFiniteGradients(double.IsFinite(scale) ? scale : 1);
        if (double.IsFinite(scale) && bad.Count == 0)
            StepScaled(scale);
        else
        {
            EventLog.AddSkipped(bad, Steps + 1);
            Skip();
        }
        return loss;
    }

    /// <inheritdoc/>
    public override Distributed.BatchPart? BatchPart
    {
        get => base.BatchPart;
        set
        {
            base.BatchPart = value;
            foreach (var member in Members)
                member.BatchPart = value;
        }
    }

    private protected override IEnumerable<nn.Module> Models => [_model];

    /// <summary>Steps taken so far.</summary>
    private long Steps { get; set; }

    /// <inheritdoc/>
    internal override IReadOnlyList<string> NonFiniteGradients(double scale)
    {
        FollowModules();
        var names = Members.SelectMany(m => m.NonFiniteGradients(scale)).ToHashSet();
        return [.. _parts.SelectMany(p => p.Group.Parameters.Select(q => q.Name).Where(names.Contains))];
    }

    /// <inheritdoc/>
    public override void UpdateCurvature(Tensor inputs, Tensor targets)
    {
        foreach (var member in Members)
            member.UpdateCurvature(inputs, targets);
    }

    internal override double SumOfSquaredGradients()
    {
        FollowModules();
        return Members.Sum(m => m.SumOfSquaredGradients());
    }

    internal override void Skip()
    {
        CountSkipped(EventLog.GradientNotFinite, Steps);
        foreach (var member in Members)
            member.Skip();
    }

    internal override void StepScaled(double scale)
    {
        FollowModules();
        Steps++;
        foreach (var part in _parts)
        foreach (var (_, member) in part.Members())
        {
            member.Follow(part.Group.Options);
            member.Optimizer.StepScaled(member == part.Fallback ? scale * Bound(part, scale) : scale);
        }
    }

    private double Bound(Part part, double scale)
    {
        if (part.Group.Options.MaxGrowth is not { } growth)
            return 1;
        double bound = part.Growth.Scale(scale * scale * part.Fallback!.Optimizer.SumOfSquaredGradients(), growth * growth);
        if (bound < 1)
            EventLog.Add(
                "all",
                FormattableString.Invariant(
                    $"the norm of AdamW's gradients was more than {growth} times its running mean; it was cut to that"
                ),
                Steps
            );
        return bound;
    }

    private void FollowModules()
    {
        foreach (var part in _parts)
            if (part.Group.Parameters.Any(p => p.Parameter.IsInvalid))
                part.Group.Refresh();
    }

    /// <inheritdoc/>
    public override void zero_grad()
    {
        foreach (var member in Members)
            member.zero_grad();
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        foreach (var member in Members)
            member.to(device);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Dispose(_parts);
        base.Dispose(disposing);
    }

    private static void Dispose(IEnumerable<Part> parts)
    {
        foreach (var (_, member) in parts.SelectMany(p => p.Members()))
            member.Optimizer.Dispose();
    }
}
