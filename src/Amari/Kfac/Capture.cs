using Amari.Native;

namespace Amari;

/// <summary>Which gradients the output factor G is made of.</summary>
public enum FisherKind
{
    /// <summary>The Fisher itself, E over y ~ p(y|f) in closed form: C backward passes through the activations ("type-2"). Where an example has several terms, as with classes at
    /// every position, those of a pass have random signs, so that it is unbiased, if no longer without noise, where the network mixes positions (attention, recurrence). Outputs
    /// are then to be [n, r, C], not flattened.</summary>
    Exact,
    /// <summary>An unbiased estimate: labels drawn from the model, one backward pass through the activations each.</summary>
    MonteCarlo,
    /// <summary>An unbiased estimate: random signs times the root of the output's Fisher, one backward pass through the activations each (Martens, Sutskever and Swersky
    /// 2012, arXiv:1206.6464). Less noisy than Monte-Carlo where some labels are rare: they are never missed.</summary>
    CurvaturePropagation,
    /// <summary>The labels of the data, from the training loss's own backward pass; free, but not the Fisher far from the optimum.</summary>
    Empirical,
    /// <summary>None: G = I, gradient descent on each layer's outputs (FOOF, Benzing 2022, arXiv:2201.12250). Needs no likelihood. The damping is in the unit of A.</summary>
    InputOnly,
}

/// <summary>How the training loss combines the terms of a batch.</summary>
public enum LossReduction
{
    /// <summary>The gradient is of the mean over all terms since the last step (micro-batches are scaled by the user so that this holds).</summary>
    Mean,
    /// <summary>The gradient is of the sum over all terms since the last step.</summary>
    Sum,
}

/// <summary>Which gradients factors are made of.</summary>
/// <param name="Kind">Null chooses: see <see cref="Kfac.Options.Fisher"/>.</param>
/// <param name="Samples">Draws per pass for <see cref="FisherKind.MonteCarlo"/> and <see cref="FisherKind.CurvaturePropagation"/>.</param>
/// <param name="Sharing">How positions are combined.</param>
/// <param name="Corrected">Whether second moments in the eigenbasis are measured, too.</param>
/// <param name="Precision">What sums are computed in.</param>
/// <param name="Examples">Most examples that are used, the first ones; null for all.</param>
internal readonly record struct FisherSettings(FisherKind? Kind, int Samples, Sharing Sharing = Sharing.Expand, bool Corrected = false, long? Examples = null, ProductPrecision Precision = ProductPrecision.Full)
{
    /// <summary>Whether factors come with the training loss's own backward pass.</summary>
    public static bool FromLoss(FisherKind kind) => kind is FisherKind.Empirical or FisherKind.InputOnly;
}

/// <summary>Sees the inputs and output gradients of layers while a model runs, without the model being edited.</summary>
/// <remarks>A forward hook passes each layer's output through an identity function of autograd whose backward hands the gradient over.
/// It is marked as in-place, so nothing is copied and in-place activations after it work. For all but the empirical and the input-only Fisher the
/// hook of the whole model runs the extra backward passes at once, before the training loss exists, through the same functions; a
/// scalar leaf (<c>probe</c>) that they all claim to depend on is asked for its gradient, so that no weight gradient is computed.
/// What a forward pass gave counts only if the training loss is then propagated back through it.</remarks>
internal sealed class Capture : IDisposable
{
    private readonly List<Action> _unhook = [];
    private readonly List<Use> _outstanding = [];
    private readonly Tensor _probe = zeros(1, requires_grad: true).DetachFromDisposeScope();
    private readonly Likelihood? _likelihood;
    private readonly Generator? _generator;
    private readonly Func<FisherSettings> _settings;
    private readonly bool _measuring;
    private readonly HashSet<(string, string)> _told = [];
    private Pass? _pass;

    /// <param name="model">Its call() marks a pass.</param>
    /// <param name="layers">The layers to see, each with its block.</param>
    /// <param name="settings">Asked at every pass.</param>
    /// <param name="likelihood">Needed unless empirical.</param>
    /// <param name="generator">The source of draws.</param>
    /// <param name="measuring">Every pass counts, without a training loss and also where others are suspended; for the empirical Fisher
    /// call <see cref="Propagate"/>.</param>
    public Capture(nn.Module model, IEnumerable<(CurvatureBlock Block, nn.Module Layer)> layers,
        Func<FisherSettings> settings, Likelihood? likelihood, Generator? generator, bool measuring = false)
    {
        if (model is not (nn.Module<Tensor, Tensor> or nn.Module<Tensor, Tensor, Tensor>))
            throw new ArgumentException($"K-FAC needs a model of one or two tensors to a tensor; {model.GetType().Name} is not one.", nameof(model));
        (_settings, _likelihood, _generator, _measuring) = (settings, likelihood, generator, measuring);
        foreach (var blocks in layers.GroupBy(l => l.Layer, l => l.Block, ReferenceEqualityComparer.Instance))
            switch (blocks.Key)
            {
                case nn.Module<Tensor, Tensor> layer:
                    var only = blocks.Single();
                    _unhook.Add(layer.register_forward_hook((_, x, s) => Seen(only, x, s)).remove);
                    break;
                case MultiheadAttention module:
                    NativeAttention attention = new(module);
                    List<CurvatureBlock> both = [.. blocks];
                    _unhook.Add(module.register_forward_hook((_, q, k, v, padding, weights, mask, y) => IsSeen(y.Item1) ? attention.Again(new(q, k, v, padding, weights, mask), y, both, Seen) : y).remove);
                    break;
            }
        // the hooks of the model come last, so that a model that is itself a layer is seen first
        switch (model)
        {
            case nn.Module<Tensor, Tensor> m:
                _unhook.Add(m.register_forward_pre_hook((_, x) => { Begin(); return x; }).remove);
                _unhook.Add(m.register_forward_hook((_, _, f) => End(f)).remove);
                break;
            case nn.Module<Tensor, Tensor, Tensor> m:
                _unhook.Add(m.register_forward_pre_hook((_, x, y) => { Begin(); return (x, y); }).remove);
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

    /// <summary>Terms of all passes propagated back since <see cref="Reset"/>, if they were counted.</summary>
    public long Terms { get; private set; }

    /// <summary>Examples of the last pass.</summary>
    public long Examples { get; private set; }

    /// <summary>Terms of the last pass.</summary>
    public long LastTerms { get; private set; }

    /// <summary>Times the work that a model without K-FAC would not do; nothing is timed while null.</summary>
    public TimeProvider? Clock { get; set; }

    /// <summary>How long that work took since <see cref="Reset"/>.</summary>
    public TimeSpan Spent { get; private set; }

    /// <summary>Whether a pass since <see cref="Reset"/> gave numbers that no label can be drawn from.</summary>
    public bool NotFinite { get; private set; }

    /// <summary>What was measured otherwise than asked for, by layer, each once: for the reader to tell and to clear.</summary>
    public List<(string Layer, string Message)> News { get; } = [];

    /// <summary>Takes these for told.</summary>
    public void Tells(IEnumerable<(string Layer, string Message)> events)
    {
        _told.Clear();
        _told.UnionWith(events);
        News.Clear();
    }

    /// <summary>What went wrong inside a backward pass, where nothing may be thrown.</summary>
    public Exception? Failure { get; private set; }

    /// <summary>Forgets the passes so far: call it after each step.</summary>
    public void Reset()
    {
        foreach (var use in _outstanding) use.X.Dispose();
        _outstanding.Clear();
        (Terms, Failure, _pass, Spent, NotFinite) = (0, null, null, TimeSpan.Zero, false);
    }

    /// <summary>One forward pass of the model.</summary>
    private sealed class Pass
    {
        public long Terms, Examples;
        public bool Live;                                       // the training loss was propagated back through it
        public int Sample = -1;                                 // the extra backward pass that is running, or none
        public readonly List<(CurvatureBlock Block, BlockSums Use)> Sums = [];
        public readonly Dictionary<CurvatureBlock, int> Uses = [];
    }

    /// <summary>One call of one layer.</summary>
    private sealed record Use(CurvatureBlock Block, Tensor X, Pass Pass);

    [ThreadStatic] private static int _suspended;
    [ThreadStatic] private static Capture? _exempt;

    /// <summary>Until it is disposed, forward passes on this thread are not training: curvature that is measured beside K-FAC leaves no trace in it.</summary>
    public static IDisposable Suspend() => new Suspension(null);

    /// <summary>Whether forward passes on this thread are not training.</summary>
    public static bool IsSuspended => _suspended > 0;

    /// <summary>Until it is disposed, this capture alone sees the forward passes on this thread.</summary>
    public IDisposable SuspendOthers() => new Suspension(this);

    private sealed class Suspension : IDisposable
    {
        private readonly Capture? _outer = _exempt;

        public Suspension(Capture? exempt) => (_suspended, _exempt) = (_suspended + 1, exempt);
        public void Dispose() => (_suspended, _exempt) = (_suspended - 1, _outer);
    }

    private bool Sees => is_grad_enabled() && (_measuring || _suspended == 0 || ReferenceEquals(_exempt, this));

    private void Begin() => _pass = Sees ? new Pass() : null;

    private bool IsSeen(Tensor s) => Active && Sees && _pass is not null && s.requires_grad;

    private Tensor Seen(CurvatureBlock block, Tensor x, Tensor s)
    {
        if (!IsSeen(s)) return s;
        var use = new Use(block, x.detach().DetachFromDisposeScope(), _pass!);
        _outstanding.Add(use);
        _pass!.Uses[block] = _pass.Uses.GetValueOrDefault(block) + 1;
        return GradientTap.apply(s, _probe, (Action<Tensor>)(g => Propagated(use, g)));
    }

    private Tensor End(Tensor f)
    {
        if (!Sees || _pass is not { } pass || !f.requires_grad) return f;
        _pass = null;
        Examples = pass.Examples = f.shape[0];
        LastTerms = pass.Terms = _likelihood?.Terms(f) ?? pass.Examples;
        if (!FisherSettings.FromLoss(Kind) && _likelihood is null)
            throw new InvalidOperationException($"The {Kind} Fisher needs a likelihood: give one to the constructor.");
        if (!(Active || Counts)) return f;
        if (Active && !FisherSettings.FromLoss(Kind)) Sample(pass, f);
        if (_measuring)
        {
            Commit(pass);
            return f;
        }
        return GradientTap.apply(f, _probe, (Action<Tensor>)(_ => Commit(pass)));
    }

    /// <summary>The extra backward passes: with g = a column of Λ^½ (exact; signed where terms are mixed) or the score of a draw (Monte-Carlo), Σ g g' makes the Fisher.</summary>
    private void Sample(Pass pass, Tensor f)
    {
        using var scope = NewDisposeScope();
        long? start = Clock?.GetTimestamp();
        using var output = f.detach();
        long count = Kind == FisherKind.Exact ? _likelihood!.Outputs(output) : _settings().Samples;
        NotFinite |= !output.isfinite().all().ToBoolean();
        for (int i = 0; i < count && !NotFinite; i++)
        {
            pass.Sample = i;
            Tensor v;
            if (Kind == FisherKind.Exact) v = _likelihood!.FisherRootColumn(output, i, _generator);
            else v = _likelihood!.Draw(Kind, output, _generator).div_(Math.Sqrt(count));
            autograd.backward([f], [v], retain_graph: true, inputs: [_probe]);
        }
        pass.Sample = -1;
        foreach (var use in _outstanding.Where(u => u.Pass == pass)) use.X.Dispose();
        _outstanding.RemoveAll(u => u.Pass == pass);
        if (start is { } begun) Spent += Clock!.GetElapsedTime(begun);
        if (Failure is { } failure) throw Unmeasured(failure);
    }

    /// <summary>Measures with the given gradients at the output f of a pass, each term's own: the empirical Fisher without a training loss.</summary>
    public void Propagate(Tensor f, Tensor score)
    {
        autograd.backward([f], [score], inputs: [_probe]);
        if (Failure is { } failure) throw Unmeasured(failure);
    }

    private static InvalidOperationException Unmeasured(Exception failure) => new("K-FAC could not measure its factors: " + failure.Message, failure);

    /// <summary>The gradient at a layer's output has arrived, of a sample or of the training loss.</summary>
    private void Propagated(Use use, Tensor g)
    {
        var (block, x, pass) = use;
        bool sampling = pass.Sample >= 0;
        if (Failure is not null || (!sampling && !FisherSettings.FromLoss(Kind)) || x.IsInvalid) return;
        try
        {
            long? start = sampling ? null : Clock?.GetTimestamp();
            using var off = no_grad();
            using var scope = NewDisposeScope();
            var settings = _settings();
            bool perExample = pass.Terms == x.shape[0];
            var (rows, gradients) = settings.Examples is { } most && block.TakesExamples ? First(x, g, most, pass.Examples) : (x, g);
            var sums = block.Measure(rows, gradients, new(pass.Sample <= 0, perExample, SharingOf(use, settings), settings.Corrected, Kind == FisherKind.InputOnly, settings.Precision));   // A once, not for every sample
            if (sampling)
            {
                foreach (var t in sums.Sums) t?.DetachFromDisposeScope();
                pass.Sums.Add((block, sums));
            }
            else
            {
                block.Accumulate(sums);
                x.Dispose();
                if (start is { } begun) Spent += Clock!.GetElapsedTime(begun);
            }
        }
        catch (Exception e) when (e is not OutOfMemoryException)  // it must not cross the native frames of backward
        {
            Failure = e;
        }
    }

    /// <summary>How positions are combined in this use: as asked for, where they are known to be one example's. What is not as asked for is told.</summary>
    private Sharing SharingOf(Use use, FisherSettings settings)
    {
        var (block, x, pass) = use;
        bool known = x.shape[0] == pass.Examples || x.shape[0] == pass.Terms, moments = block.JoinsPositions(settings with { Sharing = Sharing.Expand });
        bool joins = (moments && pass.Terms == pass.Examples) || block.JoinsPositions(settings with { Corrected = false, Kind = FisherKind.InputOnly });
        if (joins && !known) Tell("examples are not the first dimension of its input: every position counts by itself");
        if (moments && pass.Uses[block] > 1) Tell("it is used several times in a pass: second moments are of each use by itself");
        return known ? settings.Sharing : Sharing.Expand;

        void Tell(string message)
        {
            if (_told.Add((block.Name, message))) News.Add((block.Name, message));
        }
    }

    /// <summary>The first examples, their gradients scaled so that Σ g g' still estimates the sum over all.</summary>
    private static (Tensor X, Tensor G) First(Tensor x, Tensor g, long most, long examples) =>
        most >= examples || g.dim() < 2 || x.shape[0] != examples || g.shape[0] != examples ? (x, g)
            : (x.narrow(0, 0, most), g.narrow(0, 0, most).mul(Math.Sqrt((double)examples / most)));

    private void Commit(Pass pass)
    {
        if (pass.Live) return;
        pass.Live = true;
        Terms += pass.Terms;
        foreach (var (block, use) in pass.Sums) block.Accumulate(use);
        pass.Sums.Clear();
    }

    public void Dispose()
    {
        foreach (var remove in _unhook) remove();
        _unhook.Clear();
        Reset();
        _probe.Dispose();
    }
}
