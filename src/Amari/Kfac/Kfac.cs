namespace Amari;

/// <summary>K-FAC, natural gradient with Kronecker-factored curvature (Martens and Grosse 2015, arXiv:1503.05671).</summary>
/// <remarks><code>
/// for each layer s = W ā:   A ← EMA of E[ā ā'],   G ← EMA of E[g g'],   F ≈ A ⊗ G
/// V = [∂W ∂b],   U = (F + λ)⁻¹ V                    damping λ: see DampingMethod
/// ν = min(1, √(c / (η² Σ ⟨U, V⟩)))                  KL clip: the step changes the prediction by about c at most
/// b ← μ b + ν U,   w ← (1 - η λw) w - η b           decoupled decay λw, on weights and not on biases
/// </code>Layers are seen through call(), also inside Sequential and when used several times; do not call forward() yourself.
/// Parameters without a block are trained by AdamW under its own options: see <see cref="Coverage"/>.
/// Factors and step do not depend on the batch size, on mean or sum (<see cref="Options.Reduction"/>) or on micro-batches.</remarks>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Naming", "CA1708", Justification = "Step(inputs, targets) is what second-order optimizers have; step is TorchSharp's.")]
public sealed partial class Kfac : Optimizer
{
    private readonly ParameterGroup<Options> _group;
    private readonly AdamW _fallback;
    private readonly List<CurvatureBlock> _blocks;
    private readonly Dictionary<CurvatureBlock, Tensor> _momentum = [];
    private readonly Dictionary<string, CoverageRow> _rows;
    private readonly Dictionary<string, string> _demoted = [];
    private readonly List<OptimizerEvent> _events = [];
    private readonly Capture _capture;
    private readonly CurvatureSchedule _schedule = new();
    private readonly Likelihood? _likelihood;
    private readonly Generator _generator;
    private readonly IReadOnlyList<string> _order;
    private long _step;
    private long? _ended;                                       // when the last step did, if curvature has a budget

    /// <param name="model">Not owned; hooks are removed when the optimizer is disposed. It takes one or two tensors and returns one.</param>
    /// <param name="options">Defaults if null.</param>
    /// <param name="likelihood">p(y | f) of the model's output, for the true Fisher; without it the Fisher is empirical.</param>
    /// <exception cref="ArgumentException">A Fisher other than empirical without a likelihood; or, in strict mode, a parameter without a block.</exception>
    public Kfac(nn.Module model, Options? options = null, Likelihood? likelihood = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new();
        (Model, _likelihood) = (model, likelihood);
        if (likelihood is null && options.Fisher is FisherKind.Exact or FisherKind.MonteCarlo)
            throw new ArgumentException($"The {options.Fisher} Fisher needs a likelihood: pass one, or ask for the empirical Fisher.", nameof(likelihood));

        var parameters = ParameterGroup.Of(model, options).Parameters;
        (var layers, _rows) = BlockCatalog.Match(model, parameters, nameof(AdamW));
        _blocks = [.. layers.Select(l => l.Block).Distinct()];
        _order = [.. parameters.Select(p => p.Name)];
        var left = parameters.Where(p => _rows[p.Name].Block == nameof(AdamW)).ToList();
        if (options.Strict && left.Count > 0)
            throw new ArgumentException($"No K-FAC block for {string.Join("; ", left.Select(p => $"{p.Name} ({_rows[p.Name].Reason})"))}.", nameof(model));
        _group = new(parameters.Except(left), options);
        _fallback = new([new(left, options.Fallback) { Module = model }]);
        _generator = new Generator((ulong)options.Seed, CPU);
        _capture = new(model, layers, () => new(_group.Options.Fisher, _group.Options.MonteCarloSamples, _group.Options.Sharing,
            _group.Options.DampingMethod == DampingMethod.Ekfac, _schedule.Examples(_group.Options)), likelihood, _generator) { Active = true };
    }

    /// <summary>Which Fisher is used; null until the first forward pass has told how many outputs the model has.</summary>
    public FisherKind? Fisher => _capture.Kind;

    /// <summary>The model, and the blocks with their running factors: for the curvature that the optimizer holds.</summary>
    internal nn.Module Model { get; }

    /// <inheritdoc cref="Model"/>
    internal IReadOnlyList<CurvatureBlock> Blocks => _blocks;

    /// <summary>Until it is disposed, no other K-FAC optimizer of the model sees its forward passes.</summary>
    internal IDisposable SuspendOthers() => _capture.SuspendOthers();

    /// <summary>The parameters with a block, and the options in force.</summary>
    public ParameterGroup<Options> Group => _group;

    /// <inheritdoc/>
    public override Coverage Coverage => new([.. _order.Select(n => _rows[n]).Select(r =>
        r.Block == nameof(AdamW) ? r : r with { Reason = $"{r.Reason}, {Fisher?.ToString() ?? "not yet measured"} Fisher" })]);

    /// <inheritdoc/>
    /// <remarks>Last comes what adapts, as it stands now: steps taken back, the damping, what a <see cref="Options.CurvatureBudget"/> chose.</remarks>
    public override IReadOnlyList<OptimizerEvent> Events => [.. _events, .. Standing()];

    /// <summary>The intervals and the examples that <see cref="Options.CurvatureBudget"/> chose, as they are now; null without a budget or before there is a choice.</summary>
    public CurvatureChoice? CurvatureChoice => _schedule.Choice(_group.Options);

    /// <summary>What a curvature budget is measured by.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override IEnumerable<optim.ILearningRateController> ParamGroups => [_group, .. _fallback.ParamGroups];

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => _blocks.SelectMany(b => b.Parameters).Concat(_fallback.parameters());

    /// <inheritdoc/>
    public override long StateBytes =>
        _blocks.SelectMany(b => b.Tensors()).Select(t => t.Tensor).Concat(_momentum.Values).Sum(t => t.numel() * t.ElementSize) + _fallback.StateBytes;

    /// <summary>One step of every parameter that has a gradient.</summary>
    /// <param name="closure">Optional: computes and returns the loss, gradients included; evaluated first.</param>
    /// <returns>The closure's loss, or null.</returns>
    /// <exception cref="InvalidOperationException">The model was never called through call(), so nothing is known of its layers.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        Tensor? loss = null;
        if (closure is not null)
            using (enable_grad()) loss = closure();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        if (_batch is null && EvaluatesLoss)
            throw new InvalidOperationException("These options evaluate the loss: call Step(inputs, targets) instead of backward() and step().");
        var options = _group.Options with { Damping = Damping };
        _step++;
        foreach (var block in _blocks.Where(b => b.HasMoved)) Move(block, block.Parameters[0].device);
        double? factors = null, inverses = null;                // seconds
        if (_capture.Active) factors = Timed(() => UpdateFactors(options)) + _capture.Spent.TotalSeconds;
        if (_schedule.InverseDue(_step, options) || _blocks.Exists(b => b.Inverse is null && b.IsMeasured)) inverses = Timed(() => Refresh(options));
        Update(options);
        if (options.CurvatureBudget is not null)
        {
            long now = Clock.GetTimestamp();
            _schedule.Stepped(_step, options, _ended is { } last ? Clock.GetElapsedTime(last, now).TotalSeconds : null, factors, inverses, _capture.Examples);
            _ended = now;
        }
        _capture.Reset();
        Arm();
        return loss;
    }

    /// <summary>Says what the next pass is to measure.</summary>
    private void Arm()
    {
        _capture.Active = _schedule.FactorsDue(_step + 1, _group.Options);
        _capture.Clock = _group.Options.CurvatureBudget is null ? null : Clock;
    }

    private double Timed(Action work)
    {
        long start = Clock.GetTimestamp();
        work();
        return Clock.GetElapsedTime(start).TotalSeconds;
    }

    private void UpdateFactors(Options options)
    {
        if (_capture.Failure is { } failure)
            throw new InvalidOperationException($"K-FAC could not measure its factors: {failure.Message}", failure);
        foreach (var block in _blocks.Where(b => !b.HasPending && !b.IsMeasured && HasGradient(b)).ToList())
        {
            if (_capture.Terms == 0)
                throw new InvalidOperationException("K-FAC has seen no forward pass of the model: call it through call(x), not forward(x), and call backward() before step().");
            Demote(block, "its input was not seen: the layer must be called through call(), not forward()");
        }
        double scale = _capture.Kind == FisherKind.Empirical && options.Reduction == LossReduction.Mean ? _capture.Terms : 1.0 / _capture.Terms;
        foreach (var block in _blocks.Where(b => b.HasPending))
            if (!block.Fold(scale, options.FactorDecay)) Tell(block.Name, "its factors were not finite in this step and were not used");
    }

    private void Refresh(Options options)
    {
        foreach (var block in _blocks.Where(b => b.IsMeasured))
            foreach (string message in block.Refresh(options)) Tell(block.Name, message);
    }

    private void Update(Options options)
    {
        double scale = options.Reduction == LossReduction.Sum && _capture.Terms > 0 ? 1.0 / _capture.Terms : 1;
        var active = _blocks.Where(b => b.Inverse is not null && HasGradient(b)).ToList();
        if (MaxGradientNorm is not null)
            scale *= ClipScale(scale * scale * (_fallback.SumOfSquaredGradients()
                + active.SelectMany(b => b.Parameters).Sum(p => p.grad!.to_type(ScalarType.Float64).square().sum().ToDouble())));

        var steps = new List<(CurvatureBlock Block, Tensor V, Tensor U)>(active.Count);
        double product = 0, squares = 0;                         // Σ ⟨U, V⟩, and |V|² for the report of a step
        foreach (var block in active)
        {
            var v = block.Join([.. block.Parameters.Select(p => p.grad ?? zeros_like(p))]);
            if (scale != 1) v.mul_(scale);
            var u = block.Precondition(v, options);
            product += v.flatten().dot(u.flatten()).ToDouble();
            if (_batch is not null) squares += v.square().sum().ToDouble();
            steps.Add((block, v, u));
        }
        if (!double.IsFinite(product) || !double.IsFinite(scale))
        {
            SkippedSteps++;
            Tell("all", "the gradient was not finite; the step was skipped");
            return;
        }
        double eta = options.LearningRate, nu = 1;
        if (options is { KlClip: { } c, StepRule: StepRule.Fixed } && eta * eta * product > c) nu = Math.Sqrt(c / (eta * eta * product));
        KlScale = nu;
        Move(steps, options, nu, Math.Sqrt(squares));
        _fallback.StepScaled(scale);
    }

    /// <summary>How well conditioned the running factors of every layer are now; layers not measured yet are left out, and so are normalisations. It costs an eigenvalue decomposition of each factor.</summary>
    public IReadOnlyList<FactorCondition> FactorConditions() => [.. _blocks.OfType<KroneckerBlock>().Where(b => b.IsMeasured).Select(b => FactorCondition.Of(b, _group.Options with { Damping = Damping }))];

    /// <summary>ν of the last step: 1 when the KL clip did not act.</summary>
    public double KlScale { get; private set; } = 1;

    private static bool HasGradient(CurvatureBlock block) => block.Parameters.Any(p => p.grad is not null);

    private void Tell(string subject, string message) => _events.Add(new(_step, subject, message));

    /// <summary>Hands a block's parameters to the fall-back for good.</summary>
    private void Demote(CurvatureBlock block, string reason)
    {
        if (_group.Options.Strict) throw new InvalidOperationException($"No K-FAC for the layer {block.Name}: {reason}.");
        _blocks.Remove(block);
        var names = _group.Parameters.Where(p => block.Parameters.Any(q => q.Handle == p.Parameter.Handle)).ToList();
        foreach (var (name, _) in names) _rows[name] = new(name, nameof(AdamW), reason);
        _group.Parameters = [.. _group.Parameters.Except(names)];
        _fallback.Extend(names);
        _demoted[block.Name] = reason;
        Tell(block.Name, reason + "; trained by AdamW from now on");
        block.Dispose();
    }

    /// <inheritdoc/>
    public override void zero_grad()
    {
        foreach (var p in _blocks.SelectMany(b => b.Parameters))
        {
            using var gradient = p.grad;
            gradient?.zero_().Dispose();
        }
        _fallback.zero_grad();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _capture.Dispose();
            foreach (var block in _blocks) block.Dispose();
            foreach (var b in _momentum.Values) b.Dispose();
            _fallback.Dispose();
            _generator.Dispose();
        }
        base.Dispose(disposing);
    }
}
