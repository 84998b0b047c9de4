using Amari.Curvature;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

// Which parameters are whose, and under which options.
public sealed partial class Kfac
{
    private readonly List<IParameterGroup<BaseOptions>> _groups;
    private readonly Dictionary<CurvatureBlock, GroupRate> _rateOf = [];
    private readonly List<GroupRate> _rates;

    /// <param name="model">Not owned; its hooks are removed when the optimizer is disposed. It takes one or two tensors and returns
    /// one.</param>
    /// <param name="options">Null takes the defaults.</param>
    /// <param name="likelihood">p(y | f) of the model's output, for the true Fisher; without it the Fisher is empirical.</param>
    /// <exception cref="ArgumentException">The Fisher needs a likelihood, and there is none; or <see cref="Options.Strict"/> is set, and a
    /// parameter has no block.</exception>
    public Kfac(nn.Module model, Options? options = null, Likelihood? likelihood = null)
        : this(WithFrozen(model ?? throw new ArgumentNullException(nameof(model)), options ?? new()), [], model, likelihood) { }

    /// <summary>Over some parameters of the model.</summary>
    internal Kfac(nn.Module model, IReadOnlyList<(string Name, Parameter Parameter)> parameters, Options options, Likelihood? likelihood)
        : this(new ParameterGroup<Options>(parameters, options), [], model, likelihood) { }

    /// <summary>Parameter groups: the first has all options, and each further group has its own <see cref="GroupOptions"/>.</summary>
    /// <param name="group">Parameters of the model, by their names in the model or without names. A parameter belongs to one group only; a
    /// parameter in no group is not trained. A layer's bias must be in the group of its weight.</param>
    /// <param name="others">The further groups. They take all other settings from the first group.</param>
    /// <param name="model">Not owned; its hooks are removed when the optimizer is disposed. It takes one or two tensors and returns
    /// one.</param>
    /// <param name="likelihood">p(y | f) of the model's output, for the true Fisher; without it the Fisher is empirical.</param>
    /// <exception cref="ArgumentException">A parameter is in two groups, or is not the model's; or as without groups.</exception>
    public Kfac(
        ParameterGroup<Options> group,
        IReadOnlyList<ParameterGroup<GroupOptions>> others,
        nn.Module model,
        Likelihood? likelihood = null
    )
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(group);
        ArgumentNullException.ThrowIfNull(others);
        (Group, OtherGroups, _groups, _likelihood) = (group, [.. others], [group, .. others], likelihood);
        _rates = [.. _groups.Select(g => new GroupRate(g))];
        RefuseUnfit(model);
        foreach (var numbered in _groups.Where(g => g.IsNumbered))
            numbered.Rename(model);
        foreach (var one in _groups)
            one.MomentumCut = message => Log("all", message);
        var parameters = _groups.SelectMany(g => g.Parameters).ToList();
        RefuseUnfit(parameters, model);
        Estimate = new(model, parameters, likelihood, Shared.Seed, this);
        _rules = new(this, Estimate, likelihood, _rates[0]);
        var rows = Estimate.Coverage.Rows.ToDictionary(r => r.Parameter);
        var left = parameters.Where(p => p.Parameter.numel() > 0 && rows[p.Name].Block == KroneckerEstimate.NoBlock).ToList();
        if (Shared.Strict && left.Where(p => p.Parameter.requires_grad).ToList() is { Count: > 0 } lacking)
        {
            Estimate.Dispose();
            string names = string.Join("; ", lacking.Select(p => $"{p.Name} ({rows[p.Name].Reason})"));
            throw new ArgumentException($"No K-FAC block for {names}.", nameof(model));
        }
        foreach (var block in Estimate.Blocks)
            _rateOf[block] = _rates.First(r => r.Group.Parameters.Any(p => p.Parameter.Handle == block.Parameters[0].Handle));
        _fallback = new([
            .. _groups.Select(g => new ParameterGroup<AdamW.Options>(g.Parameters.Intersect(left), g.Options.Fallback) { Module = model }),
        ]);
        _left.UnionWith(left.Select(p => p.Name));
        _frozen.UnionWith(left.Where(p => !p.Parameter.requires_grad).Select(p => p.Name));
        foreach (var one in _groups)
        {
            var handles = Estimate
                .Blocks.Where(b => _rateOf[b].Group == one)
                .SelectMany(b => b.Parameters)
                .Select(p => p.Handle)
                .ToHashSet();
            one.Parameters = [.. parameters.Where(p => handles.Contains(p.Parameter.Handle))];
        }
        EventLog.AddUninitialised(parameters);
        ArmCapture();
    }

    /// <summary>The parameters with a block in the first group, and its options.</summary>
    public ParameterGroup<Options> Group { get; }

    /// <summary>The other groups of parameters with a block.</summary>
    public IReadOnlyList<ParameterGroup<GroupOptions>> OtherGroups { get; }

    /// <summary>The options that all groups share.</summary>
    private Options Shared => Group.Options;

    /// <inheritdoc/>
    /// <remarks>The groups of parameters with a block. The AdamW for all other parameters follows them: see
    /// <see cref="BaseOptions.Fallback"/>.</remarks>
    public override IEnumerable<optim.ILearningRateController> ParamGroups => _groups;

    private protected override IEnumerable<OptimizerOptions> OptionsOfGroups => _groups.Select(g => g.Options);

    // OneCycleLR and CyclicLR ask the optimizer for it, and then drive the groups.
    double optim.IMomentum.Momentum
    {
        get => Group.Momentum;
        set => _groups.ForEach(g => g.Momentum = value);
    }

    /// <summary>All parameters of a model, frozen ones too: AdamW trains those once they are thawed.</summary>
    private static ParameterGroup<Options> WithFrozen(nn.Module model, Options options) =>
        new(model.named_parameters().DistinctBy(p => p.parameter.Handle), options) { Module = model };

    /// <exception cref="ArgumentException">The options need a likelihood, or another model.</exception>
    private void RefuseUnfit(nn.Module model)
    {
        if (Shared.Step is QuadraticStep && (_likelihood is null || model is not nn.Module<Tensor, Tensor>))
            throw new ArgumentException(
                "The quadratic model needs a likelihood and a model of one tensor: pass both, or take a FixedStep."
            );
        if (Shared.Step is QuadraticStep && OtherGroups.FirstOrDefault(g => g.Options.Momentum is not null) is { } other)
            throw new ArgumentException(
                FormattableString.Invariant(
                    $"Momentum is {other.Options.Momentum} in a group; the quadratic model finds its own: leave it out (null)."
                )
            );
    }

    /// <exception cref="ArgumentException">There is nothing to train, a parameter is complex, twice there, or not the
    /// model's, or its numbers share memory.</exception>
    private static void RefuseUnfit(IReadOnlyList<(string Name, Parameter Parameter)> parameters, nn.Module model)
    {
        var known = model.named_parameters().Select(p => (p.name, p.parameter.Handle)).ToHashSet();
        foreach (var (name, parameter) in parameters)
            if (!known.Contains((name, parameter.Handle)))
                throw new ArgumentException($"'{name}' is not a parameter of the model under that name.");
        if (parameters.GroupBy(p => p.Parameter.Handle).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ArgumentException($"The parameter '{twice.First().Name}' is given twice.");
        if (!parameters.Any(p => p.Parameter.requires_grad && p.Parameter.numel() > 0))
            throw new ArgumentException("There is no parameter to train: the model has none, or all are frozen.", nameof(parameters));
        if (parameters.FirstOrDefault(p => p.Parameter.is_complex()) is (string complex, not null))
            throw new ArgumentException(
                $"The parameter '{complex}' is complex; K-FAC trains real ones: keep real and imaginary parts as two.",
                nameof(parameters)
            );
        foreach (var trained in parameters.Where(p => p.Parameter.requires_grad))
            Require.Separate(trained.Name, trained.Parameter);
    }

    /// <summary>Takes the parameters that stand under the same names in the model now: <c>module.to</c> makes new ones and disposes the
    /// old.</summary>
    private void FollowModel()
    {
        if (!_groups.Exists(g => g.Parameters.Any(p => p.Parameter.IsInvalid)))
            return;
        foreach (var group in _groups)
            group.Parameters = ParameterGroup.Current(Model, group.Parameters);
    }

    /// <summary>Takes options whose <see cref="BaseOptions.Fallback"/> has its rate as it is to be now.</summary>
    internal void Follow(Options options) => (Group.Options, _rates[0].First) = (options, options.LearningRate);
}
