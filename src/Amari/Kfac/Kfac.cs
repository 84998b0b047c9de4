using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Amari.Distributed;

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
public sealed class Kfac : Optimizer
{
    private static readonly JsonSerializerOptions Json = new() { Converters = { new JsonStringEnumConverter() } };
    private readonly ParameterGroup<Options> _group;
    private readonly AdamW _fallback;
    private readonly List<CurvatureBlock> _blocks;
    private readonly Dictionary<CurvatureBlock, Tensor> _momentum = [];
    private readonly Dictionary<string, CoverageRow> _rows;
    private readonly Dictionary<string, string> _demoted = [];
    private readonly List<OptimizerEvent> _events = [];
    private readonly Capture _capture;
    private readonly Generator _generator;
    private readonly IReadOnlyList<string> _order;
    private InverseSharing? _sharing;
    private long _step, _terms;

    /// <summary>Hyper-parameters of <see cref="Kfac"/>.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 0.1)
    {
        /// <summary>λ > 0, added to the Fisher of one term's log-likelihood; in units of <see cref="DampingScale"/>.</summary>
        public double Damping { get; init => field = Require.Positive(value); } = 1e-3;
        /// <summary>What λ is measured in.</summary>
        public DampingScale DampingScale { get; init => field = Require.Defined(value); }
        /// <summary>How λ enters the inverse.</summary>
        public DampingMethod DampingMethod { get; init => field = Require.Defined(value); }
        /// <summary>Which gradients G is made of; null chooses: exact for up to 16 outputs, one Monte-Carlo draw for more, and
        /// empirical when no likelihood is given.</summary>
        public FisherKind? Fisher { get; init => field = value is { } kind ? Require.Defined(kind) : null; }
        /// <summary>Draws per pass for <see cref="FisherKind.MonteCarlo"/>, ≥ 1.</summary>
        public int MonteCarloSamples { get; init => field = Require.AtLeast(1, value); } = 1;
        /// <summary>How the positions of an example enter the factors of a layer used at several.</summary>
        public Sharing Sharing { get; init => field = Require.Defined(value); }
        /// <summary>Whether the training loss is the mean or the sum over terms.</summary>
        public LossReduction Reduction { get; init => field = Require.Defined(value); }
        /// <summary>ε in [0, 1): decay of the factors; the k-th update uses min(1 - 1/k, ε).</summary>
        public double FactorDecay { get; init => field = Require.UnitInterval(value); } = 0.95;
        /// <summary>Steps from one measurement of the factors to the next, ≥ 1.</summary>
        public int FactorInterval { get; init => field = Require.AtLeast(1, value); } = 1;
        /// <summary>Steps from one refresh of the inverses to the next, ≥ 1.</summary>
        public int InverseInterval { get; init => field = Require.AtLeast(1, value); } = 10;
        /// <summary>c > 0: bound on η² ⟨U, V⟩, twice the KL divergence that a step is predicted to cause; null for none.</summary>
        public double? KlClip { get; init => field = Require.PositiveOrNull(value); } = 1e-3;
        /// <summary>μ in [0, 1): decay of the momentum.</summary>
        public double Momentum { get; init => field = Require.UnitInterval(value); } = 0.9;
        /// <summary>λw ≥ 0, multiplied by η.</summary>
        public double WeightDecay { get; init => field = Require.NonNegative(value); }
        /// <summary>f in [0, 1]: share of the ranks that hold a layer's inverse, where there are several: 0 (one rank, memory-lean) to 1 (all, communication-lean); see
        /// <see cref="Distribute"/>.</summary>
        public double InverseFraction { get; init => field = Require.Share(value); } = 1;
        /// <summary>Which of the holders compute an inverse.</summary>
        public InverseWork InverseWork { get; init => field = Require.Defined(value); }
        /// <summary>Options of the AdamW that trains what has no block.</summary>
        public AdamW.Options Fallback { get; init; } = new();
        /// <summary>Whether a parameter without a block is an error.</summary>
        public bool Strict { get; init; }
        /// <summary>Seed of the Monte-Carlo draws.</summary>
        public long Seed { get; init; }

        /// <inheritdoc/>
        public override double CycledMomentum => Momentum;
        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Momentum = value };
    }

    /// <param name="model">Not owned; hooks are removed when the optimizer is disposed. It takes one or two tensors and returns one.</param>
    /// <param name="options">Defaults if null.</param>
    /// <param name="likelihood">p(y | f) of the model's output, for the true Fisher; without it the Fisher is empirical.</param>
    /// <exception cref="ArgumentException">A Fisher other than empirical without a likelihood; or, in strict mode, a parameter without a block.</exception>
    public Kfac(nn.Module model, Options? options = null, Likelihood? likelihood = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        options ??= new();
        Model = model;
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
            _group.Options.DampingMethod == DampingMethod.Ekfac), likelihood, _generator) { Active = true };
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
    public override IReadOnlyList<OptimizerEvent> Events => _events;

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
        _step++;
        var options = _group.Options;
        foreach (var block in _blocks.Where(b => b.HasMoved)) Move(block, block.Parameters[0].device);
        _terms = _capture.Terms;
        if (_sharing is not null) Reduce(_sharing, options);
        if (_capture.Active) UpdateFactors(options);
        if ((_step - 1) % options.InverseInterval == 0 || _blocks.Exists(b => !HasInverse(b) && b.IsMeasured)) Refresh(options);
        Update(options);
        _capture.Reset();
        _capture.Active = _step % options.FactorInterval == 0;
        return loss;
    }

    /// <summary>Over the ranks of a communicator: sums that make the factors are added up, and the inverses shared out as <see cref="Options.InverseFraction"/> and
    /// <see cref="Options.InverseWork"/> say. Steps equal those of one process with the whole batch, to rounding; Monte-Carlo draws differ from rank to rank.</summary>
    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">There are factors already.</exception>
    /// <exception cref="NotSupportedException">EKFAC with an <see cref="Options.InverseFraction"/> below 1: every rank measures in the eigenbasis.</exception>
    public override void Distribute(Communicator communicator, bool shardState = false)
    {
        ArgumentNullException.ThrowIfNull(communicator);
        if (communicator.Size == 1) return;
        if (_sharing is not null || _blocks.Exists(b => b.IsMeasured)) throw new InvalidOperationException("The work can be shared over ranks only once, before the first step.");
        _fallback.Distribute(communicator, shardState);
        _sharing = new(communicator, _group.Options.InverseFraction);
        if (_group.Options.DampingMethod == DampingMethod.Ekfac && !_sharing.IsEverywhere)
            throw new NotSupportedException("EKFAC needs every inverse on every rank: InverseFraction must be 1.");
        Reseed();
    }

    /// <summary>Ranks draw differently; rank 0 as one process does.</summary>
    private void Reseed()
    {
        if (_sharing is { Rank: > 0 }) _generator.manual_seed(HashSeed.Of(_group.Options.Seed, _step, _sharing.Rank));
    }

    private bool HasInverse(CurvatureBlock block) => _sharing is null ? block.Inverse is not null : _sharing.HasInverse(block);

    private void Reduce(InverseSharing sharing, Options options)
    {
        if (_capture.Failure is null && (_capture.Active || options.Reduction == LossReduction.Sum))
            _terms = sharing.Reduce(_capture.Active ? _blocks : [], _terms, _capture.Kind == FisherKind.Empirical && options.Reduction == LossReduction.Mean);
    }

    private void UpdateFactors(Options options)
    {
        if (_capture.Failure is { } failure)
            throw new InvalidOperationException($"K-FAC could not measure its factors: {failure.Message}", failure);
        foreach (var block in _blocks.Where(b => !b.HasPending && !b.IsMeasured && HasGradient(b)).ToList())
        {
            if (_terms == 0)
                throw new InvalidOperationException("K-FAC has seen no forward pass of the model: call it through call(x), not forward(x), and call backward() before step().");
            Demote(block, "its input was not seen: the layer must be called through call(), not forward()");
        }
        double scale = _capture.Kind == FisherKind.Empirical && options.Reduction == LossReduction.Mean && _sharing is null ? _terms : 1.0 / _terms;
        foreach (var block in _blocks.Where(b => b.HasPending))
            if (!block.Fold(scale, options.FactorDecay)) Tell(block.Name, "its factors were not finite in this step and were not used");
    }

    private void Refresh(Options options)
    {
        var measured = _blocks.Where(b => b.IsMeasured).ToList();
        if (_sharing is not null)
            foreach (var (block, message) in _sharing.Refresh(measured, options)) Tell(block.Name, message);
        else
            foreach (var block in measured)
                foreach (string message in block.Refresh(options)) Tell(block.Name, message);
    }

    private void Update(Options options)
    {
        double scale = options.Reduction == LossReduction.Sum && _terms > 0 ? 1.0 / _terms : 1;
        var active = _blocks.Where(b => HasInverse(b) && HasGradient(b)).ToList();
        if (MaxGradientNorm is not null)
            scale *= ClipScale(scale * scale * (_fallback.SumOfSquaredGradients()
                + active.SelectMany(b => b.Parameters).Sum(p => p.grad!.to_type(ScalarType.Float64).square().sum().ToDouble())));

        var steps = new List<(CurvatureBlock Block, Tensor U)>(active.Count);
        double product = 0;                                      // Σ ⟨U, V⟩
        foreach (var block in active)
        {
            var v = block.Join([.. block.Parameters.Select(p => p.grad ?? zeros_like(p))]);
            if (scale != 1) v.mul_(scale);
            var u = _sharing is null ? block.Precondition(v, options) : _sharing.Precondition(block, v, options);
            product += v.flatten().dot(u.flatten()).ToDouble();
            steps.Add((block, u));
        }
        if (!double.IsFinite(product) || !double.IsFinite(scale))
        {
            SkippedSteps++;
            Tell("all", "the gradient was not finite; the step was skipped");
            return;
        }
        double eta = options.LearningRate, nu = 1;
        if (options.KlClip is { } c && eta * eta * product > c) nu = Math.Sqrt(c / (eta * eta * product));
        KlScale = nu;
        foreach (var (block, u) in steps)
        {
            if (!_momentum.TryGetValue(block, out var b)) _momentum[block] = b = zeros(u.shape, u.dtype, u.device).DetachFromDisposeScope();
            b.mul_(options.Momentum).add_(u, alpha: nu);
            foreach (var (w, d) in block.Parameters.Zip(block.Split(b)))
            {
                if (options.WeightDecay > 0 && w.dim() > 1) w.mul_(1 - eta * options.WeightDecay);
                w.add_(d, alpha: -eta);
            }
        }
        _fallback.StepScaled(scale);
    }

    /// <summary>How well conditioned the running factors of every layer are now; layers not measured yet are left out, and so are normalisations. It costs an eigenvalue decomposition of each factor.</summary>
    public IReadOnlyList<FactorCondition> FactorConditions() => [.. _blocks.OfType<KroneckerBlock>().Where(b => b.IsMeasured).Select(b => FactorCondition.Of(b, _group.Options))];

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
    public override OptimizerSnapshot Snapshot()
    {
        var inner = _fallback.Snapshot();
        var tensors = inner.Tensors.ToDictionary(t => "fallback." + t.Key, t => t.Value);
        foreach (var block in _blocks)
        {
            foreach (var (name, tensor) in _sharing is null ? block.Tensors() : block.Factors().Concat(_sharing.Saved(block))) tensors[$"{block.Name}.{name}"] = tensor;
            if (_momentum.TryGetValue(block, out var b)) tensors[$"{block.Name}.Momentum"] = b;
        }
        tensors["generator"] = _generator.get_state();
        return new(tensors, new()
        {
            ["type"] = nameof(Kfac),
            ["step"] = _step,
            ["options"] = JsonSerializer.SerializeToNode(_group.Options, Json),
            ["initialLearningRate"] = _group.InitialLearningRate,
            ["blocks"] = new JsonObject(_blocks.Select(b => KeyValuePair.Create(b.Name, (JsonNode?)b.Updates))),
            ["demoted"] = new JsonObject(_demoted.Select(d => KeyValuePair.Create(d.Key, (JsonNode?)d.Value))),
            ["events"] = JsonSerializer.SerializeToNode(_events, Json),
            ["clippedSteps"] = ClippedSteps,
            ["skippedSteps"] = SkippedSteps,
            ["fallback"] = inner.Values,
        });
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var (tensors, values) = snapshot;
        if ((string?)values["type"] != nameof(Kfac))
            throw new InvalidDataException($"The state is of the optimizer {values["type"]}, not of {nameof(Kfac)}.");
        var updates = values["blocks"]!.AsObject();
        var demoted = values["demoted"]!.AsObject();
        var expected = _blocks.Select(b => b.Name).Concat(_demoted.Keys).Order(StringComparer.Ordinal);
        if (!updates.Concat(demoted).Select(b => b.Key).Order(StringComparer.Ordinal).SequenceEqual(expected))
            throw new InvalidDataException("The state is of a model with other layers.");
        var options = values["options"]!.Deserialize<Options>(Json)!;
        foreach (var block in _blocks) CheckShapes(block, tensors);

        foreach (var (name, reason) in demoted)
            if (_blocks.Find(b => b.Name == name) is { } block) Demote(block, (string)reason!);
        const string prefix = "fallback.";
        _fallback.Restore(new(tensors.Where(t => t.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(t => t.Key[prefix.Length..], t => t.Value), values["fallback"]!.AsObject()));
        _group.Options = options;
        _group.InitialLearningRate = (double)values["initialLearningRate"]!;
        foreach (var block in _blocks)
        {
            block.Restore(member => tensors.GetValueOrDefault($"{block.Name}.{member}"), (long)updates[block.Name]!, options.DampingMethod);
            if (_momentum.Remove(block, out var old)) old.Dispose();
            if (tensors.TryGetValue($"{block.Name}.Momentum", out var b)) _momentum[block] = b.clone().DetachFromDisposeScope();
        }
        _sharing?.Restored(_blocks);
        _generator.set_state(tensors["generator"]);
        (_step, ClippedSteps, SkippedSteps) = ((long)values["step"]!, (long)values["clippedSteps"]!, (long)values["skippedSteps"]!);
        Reseed();
        _events.Clear();
        _events.AddRange(values["events"].Deserialize<List<OptimizerEvent>>(Json)!);
        _capture.Reset();
        _capture.Active = _step % options.FactorInterval == 0;
    }

    private static void CheckShapes(CurvatureBlock block, IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var scope = NewDisposeScope();
        foreach (var (member, tail) in block.Shapes())
            if (tensors.TryGetValue($"{block.Name}.{member}", out var saved) && (saved.dim() < tail.Length || !saved.shape.AsSpan()[^tail.Length..].SequenceEqual(tail)))
                throw new InvalidDataException($"'{block.Name}.{member}' has the shape [{string.Join(", ", saved.shape)}], expected [.., {string.Join(", ", tail)}].");
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        foreach (var block in _blocks) Move(block, device);
        _fallback.to(device);
    }

    private void Move(CurvatureBlock block, Device device)
    {
        block.To(device);
        if (!_momentum.TryGetValue(block, out var b)) return;
        _momentum[block] = b.to(block.FactorType, device).DetachFromDisposeScope();
        if (!ReferenceEquals(_momentum[block], b)) b.Dispose();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _capture.Dispose();
            _sharing?.Dispose();
            foreach (var block in _blocks) block.Dispose();
            foreach (var b in _momentum.Values) b.Dispose();
            _fallback.Dispose();
            _generator.Dispose();
        }
        base.Dispose(disposing);
    }
}
