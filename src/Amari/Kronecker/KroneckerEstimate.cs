using Amari.Kronecker;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>The Kronecker-factored curvature of a model in training: sees its layers, keeps running factors of them, and applies their
/// damped inverse.</summary>
/// <remarks>Made by an optimizer, as <c>Kfac.Estimate</c>, or by itself. For an operator of what it holds see
/// <see cref="KroneckerFactored.Of"/>. By itself, with <see cref="Update()"/> once a step or <see cref="Measure(Objective)"/> over all
/// data:
/// <code>
/// using var estimate = new KroneckerEstimate(model, likelihood) { Damping = 1e-3 };
/// likelihood.Loss(model.call(x), y).backward();
/// estimate.Update();
/// var gradient = estimate.Parameters.Flatten([.. estimate.Parameters.Parameters.Select(p => p.Parameter.grad)]);
/// var direction = estimate.Precondition(gradient);
/// </code>
/// Each step of an optimizer goes through it in this order:
/// <code>
/// Arm         says what the next forward pass is to measure
/// Complete    the passes are over: sums of products are complete
/// Update      sums → running factors → inverses, each where it is due
/// Precondition   U = F⁻¹ V of each block
/// Finish      notes times, forgets the passes
/// </code></remarks>
public sealed partial class KroneckerEstimate : IDisposable
{
    internal const string NoBlock = "none"; // a coverage row's block where there is none
    private const string NotSeen = "its input was not seen: call layer.call(x) instead of layer.forward(x), inside the model's own call";
    private const string NotFinite = "its factors were not finite in this step and were not used";
    private readonly IEstimateOwner _owner;
    private readonly List<CurvatureBlock> _blocks;
    private readonly Dictionary<string, CoverageRow> _rows;
    private readonly IReadOnlyList<string> _order;
    private readonly Generator _generator;
    private readonly CurvatureSchedule _schedule = new();
    private readonly FactorInverter _inverter = new();
    private readonly long _seed;
    private InverseSharing? _sharing;
    private ParameterLayout? _layout;
    private bool _isInverted; // at least once

    /// <param name="model">Not owned; hooks are removed when the estimate is disposed.</param>
    /// <param name="parameters">Of the model, each once.</param>
    /// <param name="likelihood">Of the model's output; null for a Fisher of the training loss's gradients.</param>
    /// <param name="seed">Of what is drawn.</param>
    /// <param name="owner">Whose it is.</param>
    /// <exception cref="ArgumentException">A Fisher that needs a likelihood without one.</exception>
    internal KroneckerEstimate(
        nn.Module model,
        IReadOnlyList<(string Name, Parameter Parameter)> parameters,
        Likelihood? likelihood,
        long seed,
        IEstimateOwner owner
    )
    {
        if (likelihood is null && owner.Curvature.Fisher?.Kind is { } kind && !FisherSettings.FromLoss(kind))
            throw new ArgumentException($"The {kind} Fisher needs a likelihood: pass one, or ask for the empirical Fisher.");
        (Model, _owner, _order, _seed) = (model, owner, [.. parameters.Select(p => p.Name)], seed);
        (var layers, _rows) = BlockCatalog.Match(model, [.. parameters.Where(p => p.Parameter.numel() > 0)], NoBlock);
        foreach (var (name, _) in parameters.Where(p => p.Parameter.numel() == 0))
            _rows[name] = new(name, NoBlock, "it has no elements");
        _blocks = [.. layers.Select(l => l.Block).Distinct()];
        _generator = new Generator((ulong)seed, CPU);
        Capture = new(model, layers, Settings, likelihood, _generator, PartOf);
    }

    /// <summary>The model.</summary>
    internal nn.Module Model { get; }

    /// <summary>The parameters, in the order of vectors [d]; as they are now, for <c>module.to</c> makes new ones.</summary>
    /// <exception cref="InvalidOperationException">A parameter was disposed, and the model has none of its name.</exception>
    public ParameterLayout Parameters
    {
        get
        {
            if (_layout is { } known && !known.Parameters.Any(p => p.Parameter.IsInvalid))
                return known;
            var now = Model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
            return _layout = new(
                _order.Select(n =>
                    now.TryGetValue(n, out var p)
                        ? (n, p)
                        : throw new InvalidOperationException($"The parameter {n} was disposed, and the model has none of that name.")
                )
            );
        }
    }

    /// <summary>Moves to where the model is now.</summary>
    /// <exception cref="InvalidOperationException">An optimizer does that.</exception>
    private void FollowModel()
    {
        foreach (var block in _blocks.Where(b => b.HasMoved))
        {
            _ = Mine;
            block.To(block.Parameters[0].device);
        }
    }

    /// <summary>The blocks with their running factors.</summary>
    internal IReadOnlyList<CurvatureBlock> Blocks => _blocks;

    /// <summary>The forward passes.</summary>
    internal Capture Capture { get; }

    /// <summary>Which Fisher is estimated.</summary>
    public FisherKind Fisher => Capture.Kind;

    /// <summary>Which parameter has which block, and why; those with none are not part of the curvature.</summary>
    public Coverage Coverage =>
        new([.. _order.Select(n => _rows[n]).Select(r => r.Block == NoBlock ? r : r with { Reason = $"{r.Reason}, {Fisher} Fisher" })]);

    /// <summary>How well conditioned the running factors of every layer are now; layers not measured yet are left out, and so are
    /// normalisations. It costs an eigenvalue decomposition of each factor.</summary>
    internal IReadOnlyList<FactorCondition> Conditions(Func<CurvatureBlock, double> damping) =>
        [
            .. _blocks
                .OfType<KroneckerBlock>()
                .Where(b => b.IsMeasured)
                .Select(b => FactorCondition.Of(b, _owner.Curvature.DampedBy(damping(b)))),
        ];

    /// <summary>The intervals and the examples that <see cref="RefreshOptions.TimeFraction"/> chose, as they are now; null without one or
    /// before there is a choice.</summary>
    public CurvatureChoice? Choice => _schedule.Choice(_owner.Curvature);

    /// <summary>The ways to invert that were chosen, in words.</summary>
    internal IEnumerable<string> InverseChoices => _inverter.Choices;

    /// <summary>Until it is disposed, no other estimate of the model sees its forward passes.</summary>
    internal IDisposable SuspendOthers() => Capture.SuspendOthers();

    private FisherSettings Settings()
    {
        var o = _owner.Curvature;
        return new(
            o.Fisher?.Kind,
            o.Fisher?.Draws ?? 1,
            o.WeightSharing,
            o.Inverse is InverseOptions.EigenvalueCorrection,
            _schedule.Examples(o),
            o.FactorBatchSize is null ? o.FactorEma : null,
            o.FactorPrecision
        );
    }

    /// <summary>Takes a block out for good, and disposes it.</summary>
    internal void Remove(CurvatureBlock block, IEnumerable<string> parameters, string reason)
    {
        _blocks.Remove(block);
        foreach (string name in parameters)
            _rows[name] = new(name, NoBlock, reason);
        block.Dispose();
    }

    /// <summary>Forgets what backward passes brought since the last update, as <c>zero_grad</c> forgets their gradients; forward passes
    /// may still be propagated back.</summary>
    public void Forget()
    {
        Capture.Forget();
        Discard();
    }

    /// <summary>Forgets the passes since the last step.</summary>
    internal void Skip()
    {
        Discard();
        Capture.Reset();
    }

    private void Discard()
    {
        foreach (var block in _blocks)
            block.Discard();
    }

    /// <summary>Frees factors and inverses, and no longer sees the model.</summary>
    public void Dispose()
    {
        Capture.Dispose();
        _sharing?.Dispose();
        foreach (var block in _blocks)
            block.Dispose();
        _generator.Dispose();
    }
}
