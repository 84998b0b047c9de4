using Amari.Curvature;
using Amari.Distributed;
using Amari.Jets;
using Amari.Native;
using Amari.Serialization;

namespace Amari.Kronecker;

/// <summary>Sees the inputs and output gradients of layers while a model runs, without the model being edited.</summary>
/// <remarks>A forward hook passes each layer's output through an identity function of autograd whose backward hands the gradient over.
/// Nothing is copied, and activations in place work after it (<see cref="GradientTap"/>). For all but the empirical and the forward-only
/// Fisher the
/// hook of the whole model runs the extra backward passes at once, before the training loss exists, through the same functions; a
/// scalar leaf (<c>probe</c>) that they all claim to depend on is asked for its gradient, so that no weight gradient is computed.
/// What a forward pass gave counts only if the training loss is then propagated back through it, and, as gradients do, until
/// <see cref="Forget"/> or
/// <see cref="Reset"/>: several backward passes through one forward pass are that of their sum.</remarks>
internal sealed partial class Capture : IDisposable
{
    private readonly List<Action> _unhook = [];
    private readonly List<LayerUse> _outstanding = []; // their gradients make factors when the loss is propagated back
    private readonly List<ForwardPass> _live = [];
    private readonly List<ForwardPass> _kept = []; // passes whose input is kept, since the last Reset
    private List<ForwardPass> _sampled = [],
        _forgotten = []; // passes that keep sums: since the last Reset, and before
    private readonly HashSet<CurvatureBlock> _seen = [];
    private readonly Tensor _probe = zeros(1, requires_grad: true).DetachFromDisposeScope();
    private readonly nn.Module _model;
    private readonly Likelihood? _likelihood;
    private Generator _generator;
    private readonly Func<FisherSettings> _settings;
    private readonly Func<long, BatchPart?> _part;
    private readonly HashSet<(string, string)> _reported = [];
    private readonly Dictionary<Linear, CurvatureBlock> _linear = new(ReferenceEqualityComparer.Instance);
    private LayerObserver? _jets; // while the model runs
    private ForwardPass? _pass;

    /// <param name="model">Its call() marks a pass.</param>
    /// <param name="layers">The layers to see, each with its block.</param>
    /// <param name="settings">Asked at every pass.</param>
    /// <param name="likelihood">Needed unless empirical.</param>
    /// <param name="generator">The source of draws.</param>
    /// <param name="part">Which part of the batch of all ranks a pass is of, by its examples; null for a process alone.</param>
    public Capture(
        nn.Module model,
        IEnumerable<(CurvatureBlock Block, nn.Module Layer)> layers,
        Func<FisherSettings> settings,
        Likelihood? likelihood,
        Generator generator,
        Func<long, BatchPart?> part
    )
    {
        if (model is not (nn.Module<Tensor, Tensor> or nn.Module<Tensor, Tensor, Tensor>))
            throw new ArgumentException(
                $"K-FAC needs a model of one or two tensors to a tensor; {model.GetType().Name} is not one.",
                nameof(model)
            );
        (_model, _settings, _likelihood, _generator, _part) = (model, settings, likelihood, generator, part);
        foreach (var blocks in layers.GroupBy(l => l.Layer, l => l.Block, ReferenceEqualityComparer.Instance))
            switch (blocks.Key)
            {
                case nn.Module<Tensor, Tensor> layer:
                    var only = blocks.Single();
                    if (layer is Linear linear)
                        _linear[linear] = only;
                    _unhook.Add(FirstHook.Add(layer, (_, x, s) => Seen(only, x, s)));
                    break;
                case MultiheadAttention module:
                    NativeAttention attention = new(module);
                    List<CurvatureBlock> both = [.. blocks];
                    _unhook.Add(
                        module
                            .register_forward_hook(
                                (_, q, k, v, padding, weights, mask, y) =>
                                    IsSeen(y.Item1) ? attention.Again(new(q, k, v, padding, weights, mask), y, both, Seen) : y
                            )
                            .remove
                    );
                    break;
            }
        switch (model)
        {
            case nn.Module<Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x) =>
                        {
                            Begin(x.shape);
                            Keep(x);
                            return x;
                        }
                    ).remove
                );
                _unhook.Add(m.register_forward_hook((_, _, f) => End(f)).remove);
                break;
            case nn.Module<Tensor, Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x, y) =>
                        {
                            Begin(x.shape, y.shape);
                            return (x, y);
                        }
                    ).remove
                );
                _unhook.Add(m.register_forward_hook((_, _, _, f) => End(f)).remove);
                break;
        }
    }

    /// <summary>Which gradients are used.</summary>
    public FisherKind Kind => _settings().Kind ?? (_likelihood is null ? FisherKind.Empirical : FisherKind.CurvaturePropagation);

    /// <summary>Whether factors are due.</summary>
    public bool Active { get; set; }

    /// <summary>Whether terms are counted also where no factors are due.</summary>
    public bool Counts { get; set; }

    /// <summary>Whether inputs of the model and gradients at its output are kept until the next step is over; of models of one
    /// tensor.</summary>
    public bool KeepsBatch { get; set; }

    /// <summary>What is kept of the last pass that counts: inputs, targets if they are known, and the score at the outputs, each term's
    /// own, if there is one; null if nothing is.</summary>
    public (Tensor Inputs, Tensor? Targets, Tensor? Score)? LastBatch(LossReduction reduction)
    {
        if (_live.FindLast(p => p.Input is not null) is not { } pass)
            return null;
        var score = pass.OutputGradient is { } g ? Batch(g, pass).mul(reduction == LossReduction.Mean ? pass.Terms : 1) : null;
        return (Batch(pass.Input!, pass), pass.Target, _live.Count == 1 ? score : null);
    }

    /// <summary>Examples of all passes that count.</summary>
    public long LiveExamples => _live.Sum(p => p.Examples);

    /// <summary>The same by the model's input, which may have fewer than its output has rows.</summary>
    public long LiveInputRows => _live.Sum(p => p.InputRows);

    /// <summary>How many passes count.</summary>
    public int LivePasses => _live.Count;

    /// <summary>A copy of the output of the only pass that counts, of its first examples: kept as long as its input is.</summary>
    public Tensor? FirstOutputs => _live is [{ Input: not null } pass] ? pass.FirstOutputs : null;

    /// <summary>How many of a pass's outputs are kept; 0 for none.</summary>
    public long KeepsOutputs { get; set; }

    /// <summary>Terms of all passes propagated back since <see cref="Forget"/> or <see cref="Reset"/>, if they were counted.</summary>
    public long Terms { get; private set; }

    /// <summary>How often anything was drawn.</summary>
    public long Draws { get; set; }

    /// <summary>Examples of the last pass.</summary>
    public long Examples { get; private set; }

    /// <summary>Terms of the last pass.</summary>
    public long LastTerms { get; private set; }

    /// <summary>Times the work that a model without K-FAC would not do; nothing is timed while null.</summary>
    public TimeProvider? Clock { get; set; }

    /// <summary>How long that work took since <see cref="Reset"/>.</summary>
    public TimeSpan Spent { get; private set; }

    /// <summary>Whether a pass that counts gave numbers that no label can be drawn from.</summary>
    public bool NotFinite => _live.Exists(p => p.NotFinite);

    /// <summary>Whether the last pass was of one example, without a dimension of examples.</summary>
    public bool IsUnbatched { get; private set; }

    /// <summary>Whether a call of the block's layer was seen since <see cref="Reset"/>.</summary>
    public bool HasSeen(CurvatureBlock block) => _seen.Contains(block);

    /// <summary>What was measured otherwise than asked for, by layer, each once: for the reader to tell and to clear.</summary>
    public List<(string Layer, string Message)> Reports { get; } = [];

    /// <summary>Takes these as reported.</summary>
    public void MarkReported(IEnumerable<(string Layer, string Message)> events)
    {
        _reported.Clear();
        _reported.UnionWith(events);
        Reports.Clear();
        (_checks, _confirmations) = (0, 1L << 20); // the run that is continued has made them
    }

    /// <summary>What went wrong inside a backward pass, where nothing may be thrown.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Completes what is accumulated in the blocks: gradients that more could have been added to are measured now.</summary>
    public void Complete()
    {
        foreach (var use in _outstanding)
            if (use.Gradient is { } g)
                Guarded(() => Measure(use, g));
        foreach (var pass in _live)
            pass.HandOver();
        HoldAgainstLikelihood();
    }

    /// <summary>What was propagated back so far counts no longer, as its gradients do not; forward passes may still be propagated back.
    /// What the blocks accumulated is the caller's to discard.</summary>
    public void Forget()
    {
        foreach (var use in _outstanding)
            use.Forget();
        foreach (var pass in _live)
            pass.Forget();
        _live.Clear();
        (Terms, Failure) = (0, null);
    }

    /// <summary>Forgets the passes so far: call it after each step.</summary>
    public void Reset()
    {
        Forget();
        foreach (var use in _outstanding)
            use.Release();
        _outstanding.Clear();
        foreach (var pass in _kept)
            pass.Release();
        _kept.Clear();
        foreach (var pass in _forgotten)
            pass.ReleaseSums(); // of a pass that was never propagated back
        (_forgotten, _sampled) = (_sampled, []);
        _seen.Clear();
        (_pass, Spent) = (null, TimeSpan.Zero);
    }

    /// <summary>Until it is disposed, this capture alone sees the forward passes on this thread.</summary>
    public IDisposable SuspendOthers() => TrainingPasses.Suspend(this);

    private bool Sees => is_grad_enabled() && IsOwnPass;

    private bool IsOwnPass => _measured is not null || TrainingPasses.AreSeenBy(this);

    private void Begin(params long[][] inputs)
    {
        _pass = Sees ? new(inputs) : null;
        _jets?.Dispose(); // of a pass that failed
        _jets = _pass is null ? null : new((layer, x, s) => _linear.TryGetValue(layer, out var block) ? Seen(block, x, s, jet: true) : s);
    }

    private void Keep(Tensor x)
    {
        if (!KeepsBatch || _pass is null)
            return;
        _pass.Input = x.detach().DetachFromDisposeScope();
        _kept.Add(_pass);
    }

    /// <summary>Whether a layer's output counts. That of a jet is without its bias, and may depend on no parameter before it.</summary>
    private bool IsSeen(Tensor s, bool jet = false) =>
        Active && Sees && _pass is not null && (s.requires_grad || (jet && is_grad_enabled()));

    private Tensor Seen(CurvatureBlock block, Tensor x, Tensor s) => Seen(block, x, s, jet: false);

    private Tensor Seen(CurvatureBlock block, Tensor x, Tensor s, bool jet)
    {
        if (Sees && (Active || KeepsBatch))
            _pass?.Uses(block, x, block.ExampleDimensions);
        if (!IsSeen(s, jet) || !block.Parameters.Any(p => p.requires_grad))
            return s;
        block.Observe();
        var use = new LayerUse(block, x.detach().DetachFromDisposeScope(), _pass!, jet);
        _outstanding.Add(use);
        _seen.Add(block);
        return GradientTap.On(s, _probe, g => Propagated(use, g));
    }

    private Tensor End(Tensor? f)
    {
        _jets?.Dispose();
        _jets = null;
        if (f is null)
            throw new InvalidOperationException(
                $"The model {_model.GetName()} returned null; K-FAC needs its outputs, a tensor [examples, ...]."
            );
        if (!Sees || _pass is not { } pass || !f.requires_grad)
            return f;
        _pass = null;
        IsUnbatched = pass.IsUnbatched;
        using var batch = Batch(f, pass).detach();
        if (batch.dim() == 0)
            throw new InvalidOperationException(
                $"The output of the model {_model.GetName()} is a scalar; K-FAC needs outputs [examples, ...], with the loss taken outside "
                    + "of the model."
            );
        Examples = pass.Examples = batch.shape[0];
        using var counted = Count(pass, batch);
        if (!FisherSettings.FromLoss(Kind) && _likelihood is null)
            throw new InvalidOperationException($"The {Kind} Fisher needs a likelihood: give one to the constructor.");
        if (!(Active || Counts || KeepsBatch))
            return f;
        if (Examples == 0)
            throw new InvalidOperationException("The batch has no examples: there is nothing that K-FAC could measure; leave it out.");
        if (Active)
            pass.Part = (_measured is { } data ? data.Part : _part(pass.InputRows))?.InRows(pass.Examples);
        if (Active)
            Confirm(pass, f);
        if (Active && !FisherSettings.FromLoss(Kind))
            Sample(pass, f, counted);
        if (_measured is not null)
        {
            Commit(pass, mayFollow: false);
            return f;
        }
        if (KeepsOutputs > 0 && pass.Input is not null)
            pass.KeepOutputs(batch, KeepsOutputs);
        if (Checks)
            pass.Output = batch.clone().DetachFromDisposeScope();
        return GradientTap.On(f, _probe, g => Arrived(pass, g));
    }

    /// <summary>With a dimension of examples.</summary>
    private static Tensor Batch(Tensor t, ForwardPass pass) => pass.IsUnbatched ? t.unsqueeze(0) : t;

    /// <summary>The training loss was propagated back through a pass.</summary>
    /// <param name="pass">The pass.</param>
    /// <param name="mayFollow">Whether it may happen again: then what it measured stays with it, for the first time may be
    /// forgotten.</param>
    private void Commit(ForwardPass pass, bool mayFollow)
    {
        if (!pass.IsLive)
        {
            pass.IsLive = true;
            _live.Add(pass);
            Terms += pass.Terms;
        }
        if (!mayFollow)
            pass.HandOver();
    }

    public void Dispose()
    {
        foreach (var remove in _unhook)
            remove();
        _unhook.Clear();
        _jets?.Dispose();
        Reset();
        Reset(); // of the passes before the last step, too
        _probe.Dispose();
    }
}
