using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Kronecker;
using Amari.Optimizers;
using Amari.Serialization;

namespace Amari;

/// <summary>K-FAC, natural gradient with Kronecker-factored curvature (Martens and Grosse 2015, arXiv:1503.05671).</summary>
/// <remarks><code>
/// for each layer s = W ā:   A ← EMA of E[ā ā'],   G ← EMA of E[g g'],   F ≈ A ⊗ G
/// V = [∂W ∂b],   U = (F + λ)⁻¹ V                    damping λ: see DampingMethod
/// ν = min(1, √(c / (η² Σ ⟨U, V⟩)), √(κ p̄ / Σ ⟨U, V⟩))   KL clip: the step changes the prediction by about c at most; growth bound: p̄ is the running mean of Σ ⟨U, V⟩
/// b ← μ min(1, η₋/η) b + ν U,   w ← (1 - η λw) w - η b   η₋: the rate of the step before; decoupled decay λw, on weights and not on biases nor normalisations
/// </code>Where the rate rises the momentum shrinks by as much, and at a rate of 0 nothing enters it: no direction is ever longer in a step
/// than the clip allowed. In large batches the step is that of the quadratic model instead: see <see cref="Options.StepRule"/>.
/// <para>Layers are seen through call(), also inside Sequential and when used several times; do not call forward() yourself: a use by
/// forward(), or of a layer's weight in a function, is not measured, and only a layer that no call was seen of is reported, in
/// <see cref="Events"/> and on standard error. A pass with gradients that is never propagated back keeps the layers' inputs until the next
/// step: evaluate under no_grad().</para>
/// <para>Factors are of the passes that the gradients are of: several backward passes through one forward pass are that of their sum, and
/// micro-batches add up. <see cref="zero_grad"/> forgets gradients and factors of earlier backward passes; the model's own zero_grad
/// forgets the gradients alone. A parameter without a gradient, frozen or not used by the loss, stays as it is. One example without a
/// dimension of examples is taken as [1, ..].</para>
/// <para>In the first steps the likelihood is compared with the gradient at the model's output, and one that cannot belong to the loss is
/// reported. A wrong scale (a <see cref="Gaussian"/>'s variance) cannot be noticed, nor can most losses of independent outputs: some
/// targets have them.</para>
/// Parameters without a block are trained by AdamW under its own options: see <see cref="Coverage"/>. Factors and step do not depend on the
/// batch size, on mean or sum (<see cref="Options.Reduction"/>) or on micro-batches.</remarks>
[System.Diagnostics.CodeAnalysis.SuppressMessage(
    "Naming",
    "CA1708",
    Justification = "StepOnBatch(inputs, targets) is what second-order optimizers have; step is TorchSharp's."
)]
public sealed partial class Kfac : Optimizer, optim.IMomentum
{
    private const string NotFinite = "its factors were not finite in this step and were not used";
    private const string Unmeasured = "it has a gradient but no factors yet: it does not move until they are measured, at its next use";
    private readonly List<ParameterGroup<Options>> _groups;
    private readonly Dictionary<CurvatureBlock, ParameterGroup<Options>> _groupOf = [];
    private readonly List<CurvatureBlock> _blocks;
    private readonly Dictionary<CurvatureBlock, Tensor> _momentum = [];
    private readonly Dictionary<string, CoverageRow> _rows;
    private readonly EventLog _events = new();
    private readonly GradientCheck _check = new();
    private readonly Capture _capture;
    private readonly CurvatureSchedule _schedule = new();
    private readonly FactorInverter _inverter = new();
    private readonly Sweep _sweep = new();
    private readonly GrowthBound _growth = new();
    private readonly Likelihood? _likelihood;
    private readonly Generator _generator;
    private readonly IReadOnlyList<string> _order;
    private InverseSharing? _sharing;
    private long _step,
        _terms,
        _lastTerms;
    private bool _remeasures; // a step was cut hard: factors and inverses are due, whatever the intervals
    private long? _ended; // when the last step did, if curvature has a budget

    /// <param name="model">Not owned; hooks are removed when the optimizer is disposed. It takes one or two tensors and returns
    /// one.</param>
    /// <param name="options">Defaults if null.</param>
    /// <param name="likelihood">p(y | f) of the model's output, for the true Fisher; without it the Fisher is empirical.</param>
    /// <exception cref="ArgumentException">A Fisher other than empirical without a likelihood; or, in strict mode, a parameter without a
    /// block.</exception>
    public Kfac(nn.Module model, Options? options = null, Likelihood? likelihood = null)
        : this([WithFrozen(model ?? throw new ArgumentNullException(nameof(model)), options ?? new())], model, likelihood) { }

    /// <summary>Over some parameters of the model.</summary>
    internal Kfac(nn.Module model, IReadOnlyList<(string Name, Parameter Parameter)> parameters, Options options, Likelihood? likelihood)
        : this([new ParameterGroup<Options>(parameters, options)], model, likelihood) { }

    /// <summary>Groups of parameters with their own <see cref="OptimizerOptions.LearningRate"/>, <see cref="Options.Damping"/>,
    /// <see cref="Options.Momentum"/>, <see cref="Options.WeightDecay"/> and <see cref="Options.Fallback"/>; every other option is that of
    /// the first group.</summary>
    /// <param name="groups">At least one; parameters of the model under its own names or without names, each in one group. What is in none
    /// is not trained. A layer's bias goes with its weight.</param>
    /// <param name="model">Not owned; hooks are removed when the optimizer is disposed. It takes one or two tensors and returns
    /// one.</param>
    /// <param name="likelihood">p(y | f) of the model's output, for the true Fisher; without it the Fisher is empirical.</param>
    /// <exception cref="ArgumentException">No group, a parameter in two, or one that is not the model's; else as without
    /// groups.</exception>
    public Kfac(IReadOnlyList<ParameterGroup<Options>> groups, nn.Module model, Likelihood? likelihood = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(groups);
        if (groups.Count == 0)
            throw new ArgumentException("There is no parameter group.", nameof(groups));
        var options = groups[0].Options;
        (Model, _likelihood, _groups, _rates) = (model, likelihood, [.. groups], [.. groups.Select(g => g.LearningRate)]);
        if (likelihood is null && options.Fisher is FisherKind.Exact or FisherKind.MonteCarlo or FisherKind.CurvaturePropagation)
            throw new ArgumentException(
                $"The {options.Fisher} Fisher needs a likelihood: pass one, or ask for the empirical Fisher.",
                nameof(likelihood)
            );

        if (options.StepRule == StepRule.QuadraticModel && (likelihood is null || model is not nn.Module<Tensor, Tensor>))
            throw new ArgumentException(
                "The quadratic model needs a likelihood and a model of one tensor: pass both, or take StepRule.Fixed.",
                nameof(likelihood)
            );
        foreach (var group in groups.Where(g => g.IsNumbered))
            group.Rename(model);
        foreach (var group in groups)
            group.MomentumCut = () => Log("all", ParameterGroup<Options>.MomentumCutTo);
        var parameters = groups.SelectMany(g => g.Parameters).ToList();
        var known = model.named_parameters().Select(p => (p.name, p.parameter.Handle)).ToHashSet();
        foreach (var (name, parameter) in parameters)
            if (!known.Contains((name, parameter.Handle)))
                throw new ArgumentException($"'{name}' is not a parameter of the model under that name.", nameof(groups));
        if (parameters.GroupBy(p => p.Parameter.Handle).FirstOrDefault(g => g.Count() > 1) is { } twice)
            throw new ArgumentException($"The parameter '{twice.First().Name}' is given twice.", nameof(groups));
        RefuseUnfit(parameters);
        var whole = parameters.Where(p => p.Parameter.numel() > 0).ToList();
        (var layers, _rows) = BlockCatalog.Match(model, whole, nameof(AdamW));
        foreach (var (name, _) in parameters.Where(p => p.Parameter.numel() == 0))
            _rows[name] = new(name, "none", "it has no elements");
        _blocks = [.. layers.Select(l => l.Block).Distinct()];
        _order = [.. parameters.Select(p => p.Name)];
        var left = parameters.Where(p => _rows[p.Name].Block == nameof(AdamW)).ToList();
        if (options.Strict && left.Where(p => p.Parameter.requires_grad).ToList() is { Count: > 0 } lacking)
        {
            string names = string.Join("; ", lacking.Select(p => $"{p.Name} ({_rows[p.Name].Reason})"));
            throw new ArgumentException($"No K-FAC block for {names}.", nameof(model));
        }
        foreach (var block in _blocks)
            _groupOf[block] = groups.First(g => g.Parameters.Any(p => p.Parameter.Handle == block.Parameters[0].Handle));
        _fallback = new([
            .. groups.Select(g => new ParameterGroup<AdamW.Options>(g.Parameters.Intersect(left), g.Options.Fallback) { Module = model }),
        ]);
        _frozen.UnionWith(left.Where(p => !p.Parameter.requires_grad).Select(p => p.Name));
        foreach (var group in groups)
        {
            var handles = _blocks.Where(b => _groupOf[b] == group).SelectMany(b => b.Parameters).Select(p => p.Handle).ToHashSet();
            group.Parameters = [.. parameters.Where(p => handles.Contains(p.Parameter.Handle))];
        }
        _events.AddUninitialised(parameters);
        _generator = new Generator((ulong)options.Seed, CPU);
        _capture = new(
            model,
            layers,
            () =>
                new(
                    Shared.Fisher,
                    Shared.MonteCarloSamples,
                    Shared.WeightSharing,
                    Shared.DampingMethod == DampingMethod.Ekfac,
                    _schedule.Examples(Shared),
                    Shared.FactorPrecision
                ),
            likelihood,
            _generator,
            part: PartOf
        );
        ArmCapture();
    }

    /// <summary>Which Fisher is used.</summary>
    public FisherKind Fisher => _capture.Kind;

    /// <summary>The model, and the blocks with their running factors: for the curvature that the optimizer holds.</summary>
    internal nn.Module Model { get; }

    /// <inheritdoc cref="Model"/>
    internal IReadOnlyList<CurvatureBlock> Blocks => _blocks;

    /// <summary>Until it is disposed, no other K-FAC optimizer of the model sees its forward passes.</summary>
    internal IDisposable SuspendOthers() => _capture.SuspendOthers();

    /// <summary>The parameters with a block, and the options in force: the first group.</summary>
    public ParameterGroup<Options> Group => _groups[0];

    /// <summary>All groups of parameters with a block.</summary>
    public IReadOnlyList<ParameterGroup<Options>> Groups => _groups;

    /// <summary>What holds for all groups.</summary>
    private Options Shared => _groups[0].Options;

    /// <summary>The options of a block's group, its damping adapted as the first group's is.</summary>
    private Options Of(CurvatureBlock block, Options options)
    {
        var own = _groupOf[block].Options;
        return ReferenceEquals(own, Shared)
            ? options
            : options with
            {
                LearningRate = own.LearningRate,
                Momentum = own.Momentum,
                WeightDecay = own.WeightDecay,
                Damping = own.Damping * (options.Damping / Shared.Damping),
            };
    }

    /// <inheritdoc/>
    public override Coverage Coverage =>
        new([
            .. _order
                .Select(n => _rows[n])
                .Select(r => r.Block is nameof(AdamW) or "none" ? r : r with { Reason = $"{r.Reason}, {Fisher} Fisher" }),
        ]);

    /// <inheritdoc/>
    /// <remarks>The same thing happening again is counted in the message of the first time. Last comes what adapts, as it stands now: steps
    /// taken back, the damping, what a <see cref="Options.CurvatureTimeFraction"/> and <see cref="InverseMethod.Auto"/> chose, and the
    /// ranks of <see cref="InverseMethod.Nystrom"/>.</remarks>
    public override IReadOnlyList<OptimizerEvent> Events =>
        [.. _events.Events, .. Standing(), .. _inverter.Choices.Select(c => new OptimizerEvent(_step, "all", c))];

    /// <summary>The intervals and the examples that <see cref="Options.CurvatureTimeFraction"/> chose, as they are now; null without a
    /// budget or before there is a choice.</summary>
    public CurvatureChoice? CurvatureChoice => _schedule.Choice(Shared);

    /// <summary>What a curvature budget and ways to invert are measured by.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    /// <remarks>The groups of parameters with a block. What AdamW trains follows them: see <see cref="Options.Fallback"/>.</remarks>
    public override IEnumerable<optim.ILearningRateController> ParamGroups => _groups;

    // OneCycleLR and CyclicLR ask the optimizer for it, and then drive the groups.
    double optim.IMomentum.Momentum
    {
        get => Group.Momentum;
        set => _groups.ForEach(g => g.Momentum = value);
    }

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => _blocks.SelectMany(b => b.Parameters).Concat(_fallback.parameters());

    /// <inheritdoc/>
    public override long StateBytes =>
        _blocks.SelectMany(b => b.Tensors()).Select(t => t.Tensor).Concat(_momentum.Values).Sum(t => t.numel() * t.ElementSize)
        + _fallback.StateBytes;

    /// <summary>One step of every parameter that has a gradient; gradients of several passes since the last step add up, and so do their
    /// factors.</summary>
    /// <param name="closure">Optional: computes and returns the loss, gradients included; evaluated first.</param>
    /// <returns>The closure's loss, or null.</returns>
    /// <exception cref="InvalidOperationException">The model was never called through call(), so nothing is known of its
    /// layers.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        Tensor? loss = null;
        if (closure is not null)
            using (enable_grad())
                loss = closure();
        Advance(null);
        return loss;
    }

    /// <inheritdoc/>
    internal override void StepScaled(double scale) => Advance(scale);

    /// <inheritdoc/>
    internal override void Skip()
    {
        foreach (var block in _blocks)
            block.Discard();
        _capture.Reset();
        ArmCapture();
    }

    /// <inheritdoc/>
    /// <remarks>Of targets that leave terms out of the loss (labels -100) K-FAC learns which ones by this call alone; without it all terms
    /// of the next forward pass count.</remarks>
    public override void UpdateCurvature(Tensor inputs, Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(targets);
        _capture.SetTargets(targets);
    }

    /// <inheritdoc/>
    internal override double SumOfSquaredGradients() => _fallback.SumOfSquaredGradients() + SumOfSquares(_blocks);

    /// <param name="gradientScale">Null to clip by <see cref="Optimizer.MaxGradientNorm"/>.</param>
    private void Advance(double? gradientScale)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        if (_batch is null && EvaluatesLoss)
            throw new InvalidOperationException(
                "These options evaluate the loss: call StepOnBatch(inputs, targets) instead of backward() and step()."
            );
        FollowModel();
        if (gradientScale is null && NonFiniteGradients(1) is { Count: > 0 } bad)
        {
            _events.AddSkipped(bad, _step + 1);
            SkippedSteps++;
            Skip();
            return;
        }
        FollowGroups();
        _step++;
        foreach (var block in _blocks.Where(b => b.HasMoved))
            Move(block, block.Parameters[0].device);
        LogThawed();
        _capture.Complete();
        ChooseRule();
        var options = Shared with { Damping = Damping, StepRule = StepRule };
        _terms = _capture.Terms;
        Log(_capture.Reports);
        bool finite = _sharing is null ? !_capture.NotFinite : Reduce(_sharing, options);
        double? factors = null,
            inverses = null; // seconds
        if (_capture.Active)
            factors = Timed(() => UpdateFactors(options, finite)) + _capture.Spent.TotalSeconds;
        if (_remeasures || _schedule.InverseDue(_step, options) || _blocks.Exists(b => !HasInverse(b) && b.IsMeasured))
            inverses = Timed(() => Refresh(options));
        _remeasures = false;
        if (_terms > 0)
            _lastTerms = _terms;
        else
            _terms = _lastTerms; // a step without a pass: on the gradients of the last
        Update(options, gradientScale);
        if (options.CurvatureTimeFraction is not null)
        {
            long now = Clock.GetTimestamp();
            _schedule.Stepped(
                _step,
                options,
                _ended is { } last ? Clock.GetElapsedTime(last, now).TotalSeconds : null,
                factors,
                inverses,
                _choosing,
                _capture.Examples
            );
            _ended = now;
        }
        _capture.Reset();
        ArmCapture();
    }

    /// <summary>Says what the next pass is to measure.</summary>
    private void ArmCapture()
    {
        _capture.Active =
            _remeasures || _schedule.FactorsDue(_step + 1, Shared) || _blocks.Exists(b => b is { IsAwaited: true, IsMeasured: false });
        _capture.Counts = Shared.Reduction == LossReduction.Sum;
        _capture.KeepsOutputs = _rule is null && Shared.StepRule is null && HasModel ? Shared.QuadraticModelBatchSize ?? 0 : 0;
        _capture.KeepsBatch =
            StepRule == StepRule.QuadraticModel || Shared.AdaptiveDamping || (Shared.StepRule is null && _rule is null && HasModel);
        _capture.Clock = Shared.CurvatureTimeFraction is null ? null : Clock;
    }

    private double Timed(Action work)
    {
        long start = Clock.GetTimestamp();
        work();
        return Clock.GetElapsedTime(start).TotalSeconds;
    }

    private void Update(Options options, double? gradientScale)
    {
        foreach (var block in _blocks.Where(b => !b.IsMeasured && IsUsed(b)))
        {
            block.IsAwaited = true;
            Log(block.Name, Unmeasured);
        }
        double mean = options.Reduction == LossReduction.Sum && _terms > 0 ? 1.0 / _terms : 1;
        var active = _blocks.Where(b => HasInverse(b) && HasGradient(b)).ToList();
        double clip =
                gradientScale
                ?? (MaxGradientNorm is null ? 1 : ClipScale(mean * mean * (_fallback.SumOfSquaredGradients() + SumOfSquares(active)))),
            scale = mean * clip;

        var steps = new List<Direction>(active.Count);
        double product = 0,
            length = 0,
            squares = 0; // Σ η² ⟨U, V⟩, Σ ⟨U, V⟩, and |V|² for the report of a step
        bool finite = true;
        var gradients = active.ConvertAll(block =>
        {
            var v = block.Join([.. block.Parameters.Select(p => Gradient(p) ?? zeros_like(p))]);
            return (block, scale == 1 ? v : v.mul(scale)); // v may be the gradient itself
        });
        var examples = ExamplesOf(options);
        _choosing =
            examples is { } some && active.Count > 0 && options.AdaptiveFactorDamping && _step % options.FactorDampingInterval == 0
                ? Timed(() => ChooseFactorDamping(gradients, options, some, clip))
                : null;
        foreach (var (block, v) in gradients)
        {
            var (step, own) = (DirectionOf(block, v, options), Of(block, options).LearningRate);
            product += own * own * step.Products.AB;
            length += step.Products.AB;
            finite &= double.IsFinite(length);
            squares += step.Products.AA;
            steps.Add(step);
        }
        if (options.StepRule == StepRule.QuadraticModel && examples is null)
        {
            SkippedSteps++;
            Log("all", "no forward pass of the model since the last step, so that there is no quadratic model; the step was skipped");
            return;
        }
        bool idle = active.Count == 0 && _blocks.Exists(HasGradient) && !_fallback.parameters().Any(p => p.grad is not null);
        if (!finite || idle)
        {
            SkippedSteps++;
            Log("all", (finite ? "no layer with a gradient has factors" : "the direction was not finite") + "; the step was skipped");
            return;
        }
        double nu = 1;
        if (options.StepRule == StepRule.Fixed)
        {
            nu = KlScale = options.KlClip is { } c && product > c ? Math.Sqrt(c / product) : 1;
            nu = Math.Min(nu, Bounded(length, options, nu));
        }
        Move(steps, options, examples, nu, clip, Math.Sqrt(squares) / clip);
        _fallback.StepScaled(scale);
    }

    /// <summary>What the growth bound multiplies a step by; a cut below <paramref name="already"/> is counted, and a deep one has the
    /// curvature measured.</summary>
    private double Bounded(double square, Options options, double already = 1)
    {
        double scale = _growth.Scale(square, options.MaxGrowth);
        if (scale >= already)
            return scale;
        Log(
            "all",
            FormattableString.Invariant(
                $"the squared length of the step was more than {options.MaxGrowth} times its running mean; the step was cut to that"
            )
        );
        _remeasures |= GrowthBound.IsHard(scale);
        return scale;
    }

    /// <summary>Where a block goes.</summary>
    /// <param name="Block">The block.</param>
    /// <param name="V">Its gradient.</param>
    /// <param name="U">F⁻¹ V.</param>
    /// <param name="Products">Of V, U and, where there is one and the quadratic model asks, the momentum b.</param>
    private readonly record struct Direction(CurvatureBlock Block, Tensor V, Tensor U, InnerProducts Products);

    private Direction DirectionOf(CurvatureBlock block, Tensor v, Options options)
    {
        var u = _sharing is null
            ? block.Precondition(v, OfInverse(block, options))
            : _sharing.Precondition(block, v, OfInverse(block, options));
        if (block.Parameters.Any(p => !HasGradient(p))) // they stay
            u = u.mul(block.Join([.. block.Parameters.Select(p => HasGradient(p) ? ones_like(p) : zeros_like(p))]));
        return new(
            block,
            v,
            u,
            InnerProducts.Of(v, u, options.StepRule == StepRule.QuadraticModel ? _momentum.GetValueOrDefault(block) : null)
        );
    }

    /// <summary>How well conditioned the running factors of every layer are now; layers not measured yet are left out, and so are
    /// normalisations. It costs an eigenvalue decomposition of each factor.</summary>
    public IReadOnlyList<FactorCondition> FactorConditions() =>
        [
            .. _blocks
                .OfType<KroneckerBlock>()
                .Where(b => b.IsMeasured)
                .Select(b => FactorCondition.Of(b, Of(b, Shared with { Damping = Damping }).DampingSettings)),
        ];

    /// <summary>ν of the last step: 1 when the KL clip did not act.</summary>
    public double KlScale { get; private set; } = 1;

    private void Log(string subject, string message) => _events.Add(subject, message, _step);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _capture.Dispose();
            _sharing?.Dispose();
            _gradients?.Dispose();
            foreach (var block in _blocks)
                block.Dispose();
            foreach (var b in _momentum.Values)
                b.Dispose();
            _fallback.Dispose();
            _generator.Dispose();
        }
        base.Dispose(disposing);
    }
}
