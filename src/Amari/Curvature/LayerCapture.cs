using Amari.Jets;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>Sees the inputs and output gradients of the layers of a model in one forward pass, from which come the rows of the Jacobian of
/// its outputs.</summary>
/// <remarks>Layers are Linear, and Conv1d and Conv2d by unfolding. One backward pass of the outputs k of all examples together gives the
/// gradients of each, where examples do not depend on each other. A layer that is called several times adds up, and so do layers that share
/// a weight. Hooks are removed on disposal.</remarks>
internal sealed class LayerCapture : IDisposable
{
    /// <param name="Module">The layer.</param>
    /// <param name="Weight">The index of its weight among the parameters; -1 if it is frozen.</param>
    /// <param name="Bias">The same of its bias; -1 also if it has none.</param>
    private sealed record Layer(nn.Module Module, int Weight, int Bias);

    /// <summary>A call of a layer.</summary>
    /// <param name="Layer">Whose.</param>
    /// <param name="Input">x, as the layer took it.</param>
    /// <param name="Stacked">Whether the first dimension is of the components of a jet, of which only the first has the bias.</param>
    /// <param name="Part">The examples that it is of; null for all.</param>
    private sealed record Use(Layer Layer, Tensor Input, bool Stacked, long[]? Part)
    {
        public Tensor? Gradient { get; set; }

        /// <summary>One for each output, shaped as the layer's output; null for zeros.</summary>
        public List<Tensor?> Gradients { get; } = [];
    }

    private enum Stage
    {
        Forward,
        Backward,
        Ignored,
    }

    [ThreadStatic]
    private static LayerCapture? _current;

    private readonly LayerCapture? _outer = _current;
    private readonly ParameterLayout _layout;
    private readonly LayerObserver _jets;
    private readonly List<long[]> _parts = [];
    private long[]? _part;
    private readonly List<Action> _unhook = [];
    private readonly List<Use> _uses = [];
    private readonly Tensor _probe = zeros(1, requires_grad: true).DetachFromDisposeScope();
    private readonly double[] _squares; // of each parameter, Σ |a|² |δ|², which rounding is relative to
    private Stage _stage;
    private bool _differentiatesInside; // the output then depends on parameters in ways that are not seen

    private LayerCapture(ParameterLayout layout, IEnumerable<Layer> layers)
    {
        (_layout, _squares) = (layout, new double[layout.Parameters.Count]);
        var linear = layers.Where(l => l.Module is Linear).ToDictionary(l => l.Module);
        _jets = new((layer, x, z) => linear.TryGetValue(layer, out var known) ? Seen(known, x, z, stacked: true) : z);
        _current = this;
    }

    /// <summary>Until it is disposed, the calls of layers on this thread are of some of the examples only.</summary>
    /// <param name="rows">Their numbers, each in one part.</param>
    /// <returns>Null if nothing is captured.</returns>
    public static IDisposable? Part(Func<long[]> rows) => _current is { } capture ? new PartScope(capture, rows()) : null;

    private sealed class PartScope : IDisposable
    {
        private readonly LayerCapture _capture;

        public PartScope(LayerCapture capture, long[] rows)
        {
            (_capture, capture._part) = (capture, rows);
            capture._parts.Add(rows);
        }

        public void Dispose() => _capture._part = null;
    }

    /// <summary>Starts to see a model's layers; null if a parameter belongs to none that can be seen.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="layout">The parameters of the Jacobian's columns.</param>
    /// <param name="reason">If null is returned: which parameter, in words that follow "because".</param>
    public static LayerCapture? TryStart(nn.Module model, ParameterLayout layout, out string? reason)
    {
        var indices = layout.Parameters.Select((p, i) => (p.Parameter.Handle, i)).ToDictionary(p => p.Handle, p => p.i);
        List<Layer> layers =
        [
            .. model
                .modules()
                .Append(model)
                .Distinct()
                .Select(m => (Module: m, Parameters: Owned(m)))
                .Where(m => m.Parameters.Weight is not null)
                .Select(m => new Layer(m.Module, Index(m.Parameters.Weight), Index(m.Parameters.Bias)))
                .Where(l => l.Weight >= 0 || l.Bias >= 0),
        ];
        var seen = layers.SelectMany(l => new[] { l.Weight, l.Bias }).ToHashSet();
        reason = layout
            .Parameters.Where((_, i) => !seen.Contains(i))
            .Select(p => $"{p.Name} does not belong to a Linear, Conv1d or Conv2d layer")
            .FirstOrDefault();
        if (reason is not null)
            return null;
        var capture = new LayerCapture(layout, layers);
        foreach (var layer in layers)
            if (layer.Module is nn.Module<Tensor, Tensor> module)
                capture._unhook.Add(FirstHook.Add(module, (_, x, z) => capture.Seen(layer, x, z, stacked: false)));
        return capture;

        int Index(Parameter? p) => p is not null && indices.TryGetValue(p.Handle, out int i) ? i : -1;
    }

    private static (Parameter? Weight, Parameter? Bias) Owned(nn.Module module) =>
        module switch
        {
            Linear l => (l.weight, l.bias),
            Conv1d { groups: 1, padding_mode: PaddingModes.Zeros, padding_type: null } c => (c.weight, c.bias),
            Conv2d { groups: 1, padding_mode: PaddingModes.Zeros, padding_type: null } c => (c.weight, c.bias),
            _ => default,
        };

    /// <summary>Forgets the calls before, for the next batch.</summary>
    public void Clear()
    {
        foreach (var t in _uses.SelectMany(u => u.Gradients.Append(u.Input)))
            t?.Dispose();
        _uses.Clear();
        _parts.Clear();
        _stage = Stage.Forward;
    }

    private Tensor Seen(Layer layer, Tensor x, Tensor z, bool stacked)
    {
        bool biasFollows = stacked && layer.Bias >= 0; // then z depends on no parameter where the weight is frozen
        if (!is_grad_enabled() || (!z.requires_grad && !biasFollows))
            return z;
        var use = new Use(layer, x.detach().DetachFromDisposeScope(), stacked, _part);
        _uses.Add(use);
        return GradientTap.On(z, _probe, g => Arrived(use, g));
    }

    private void Arrived(Use use, Tensor gradient)
    {
        if (_stage == Stage.Forward)
            _differentiatesInside = true;
        if (_stage == Stage.Backward)
            use.Gradient = gradient.detach().DetachFromDisposeScope();
    }

    /// <summary>Adds the rows of one batch, and holds J'c, for a random combination of them, against a backward pass for the parameters:
    /// they differ where examples depend on each other, or where a weight is used outside its layer's call.</summary>
    /// <param name="objective">Of the model.</param>
    /// <param name="output">f, of the forward pass since <see cref="Clear"/>; its graph is kept.</param>
    /// <param name="cotangents">K tensors shaped as f.</param>
    /// <param name="passes">To which they are added; the caller owns them.</param>
    /// <returns>Null, or why these are not the rows, in words that follow "because".</returns>
    public string? Add(Objective objective, Tensor output, IReadOnlyList<Tensor> cotangents, List<JacobianPass> passes)
    {
        if (_differentiatesInside)
            return "its forward pass takes derivatives";
        var added = Passes(output, cotangents);
        if (added is null)
            return "a layer's input has another number of examples";
        long start = passes.Sum(p => p.Rows);
        passes.AddRange(added.Select((p, i) => _parts.Count == 0 ? p : p with { Positions = Positions(_parts[i], p.Outputs, start) }));
        return Agrees(objective, output, cotangents, added)
            ? null
            : "its examples depend on each other, or a weight is used outside its layer's call";
    }

    private static long[] Positions(long[] part, long outputs, long start) =>
        [.. part.SelectMany(m => Enumerable.Range(0, (int)outputs).Select(k => start + (m * outputs) + k))];

    private bool Agrees(Objective objective, Tensor output, IReadOnlyList<Tensor> cotangents, List<JacobianPass> passes)
    {
        using var scope = NewDisposeScope();
        long examples = output.shape[0];
        using var generator = new Generator(1);
        var u = rand([examples, cotangents.Count], dtype: output.dtype, generator: generator).to(output.device).sub_(0.5);
        long[] shape = [examples, .. Enumerable.Repeat(1L, (int)output.dim() - 1)];
        var combination = cotangents.Select((c, k) => c * u.select(1, k).view(shape)).Aggregate((a, b) => a + b);
        var expected = _layout.Flatten(objective.Derivative(output, combination, again: true));
        var captured = zeros_like(expected);
        for (int i = 0; i < passes.Count; i++)
        {
            var own = (_parts.Count == 0 ? u : u.index_select(0, tensor(_parts[i], device: u.device))).reshape(-1);
            foreach (var r in passes[i].Parts)
                captured.narrow(0, r.Offset, r.Columns).add_(r.ApplyTransposed(own));
        }
        double scale = expected.norm().ToDouble(),
            rounding = finfo(captured.dtype).eps;
        // by parameter, for a layer of large numbers would hide the others
        var differences = _layout.Split(captured.sub_(expected)).Select(d => d.norm().ToDouble());
        return !double.IsFinite(scale) || differences.Zip(_squares).All(p => p.First <= Math.Sqrt(rounding * p.Second) + rounding * scale);
    }

    /// <summary>Rows (m, k) of the Jacobian, ⟨cotangent k of example m, ∂f_m/∂w⟩, part by part. The graph is kept. The caller owns
    /// them.</summary>
    /// <returns>Null if a layer's input is not one of the examples of its part.</returns>
    private List<JacobianPass>? Passes(Tensor output, IReadOnlyList<Tensor> cotangents)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        _stage = Stage.Backward;
        Array.Clear(_squares);
        foreach (var cotangent in cotangents)
        {
            if (output.requires_grad && _uses.Count > 0)
                ReverseMode.Propagate(output, cotangent, _probe, again: true);
            foreach (var use in _uses)
            {
                use.Gradients.Add(use.Gradient);
                use.Gradient = null;
            }
        }
        _stage = Stage.Ignored;
        LibTorch.ReleaseGradient(_probe.Handle);
        long all = output.shape[0];
        long[]?[] parts = _parts.Count == 0 ? [null] : [.. _parts];
        if (_parts.Sum(p => p.LongLength) != (_parts.Count == 0 ? 0 : all))
            return null;
        List<JacobianPass> passes = [];
        foreach (long[]? part in parts)
        {
            var uses = _uses.Where(u => ReferenceEquals(u.Part, part)).ToList();
            long examples = part?.LongLength ?? all;
            if (uses.Exists(u => u.Stacked ? u.Input.shape[1] != examples : u.Input.shape[0] % examples != 0))
                return null;
            passes.Add(new(examples, cotangents.Count, Parts(uses, examples)));
        }
        if (passes.Sum(p => p.Parts.Count) == 0 || _uses.Exists(u => !parts.Contains(u.Part)))
            return null;
        foreach (var rows in passes.SelectMany(p => p.Parts))
            rows.Detach();
        return passes;
    }

    private List<ParameterRows> Parts(List<Use> uses, long examples)
    {
        List<ParameterRows> rows = [];
        foreach (int index in uses.SelectMany(u => new[] { u.Layer.Weight, u.Layer.Bias }).Where(i => i >= 0).Distinct().Order())
        {
            var own = uses.FindAll(u => (u.Layer.Weight == index || u.Layer.Bias == index) && u.Gradients.Exists(g => g is not null));
            if (own.Count > 0)
                rows.Add(own.Exists(u => u.Layer.Weight == index) ? OfWeight(index, own, examples) : OfBias(index, own, examples));
        }
        return rows;
    }

    private ParameterRows OfWeight(int index, List<Use> uses, long examples)
    {
        var (a, delta) = (Joined(uses, u => Inputs(u, examples)), Joined(uses, u => Gradients(u, examples)));
        _squares[index] += (a.square().sum(-1) * delta.square().sum([-2L, -1])).sum().ToDouble();
        var outer = new OuterRows(a.contiguous(), delta.contiguous(), _layout.Offset(index));
        return outer.Bytes <= outer.Rows * outer.Columns * outer.ElementSize
            ? outer
            : new DenseRows(outer.Form(0, examples, 0, outer.Columns), outer.Offset, examples);
    }

    private DenseRows OfBias(int index, List<Use> uses, long examples)
    {
        _squares[index] += uses.Sum(u => Gradients(u, examples).square().sum().ToDouble());
        Tensor[] sums = [.. uses.Select(u => Gradients(u, examples) is var g && u.Stacked ? g[0] : g.sum([0L]))]; // [n, K, out]
        var sum = sums.Aggregate((x, y) => x + y);
        return new(sum.reshape(-1, sum.shape[2]), _layout.Offset(index), examples);
    }

    private static Tensor Joined(List<Use> uses, Func<Use, Tensor> part) =>
        uses.Count == 1 ? part(uses[0]) : cat([.. uses.Select(part)], 0);

    /// <summary>[C, n, in].</summary>
    private static Tensor Inputs(Use use, long examples) =>
        use.Stacked ? use.Input
        : use.Layer.Module is Convolution layer ? Patches.Of(layer, use.Input).permute(2, 0, 1)
        : use.Input.reshape(examples, -1, use.Input.shape[^1]).transpose(0, 1);

    /// <summary>[C, n, K, out].</summary>
    private static Tensor Gradients(Use use, long examples)
    {
        var some = use.Gradients.First(g => g is not null)!;
        return use.Gradients.Count == 1
            ? Components(some).unsqueeze(2)
            : stack([.. use.Gradients.Select(g => Components(g ?? zeros_like(some)))], 2);

        Tensor Components(Tensor g) =>
            use.Stacked ? g
            : use.Layer.Module is Convolution ? g.flatten(2).permute(2, 0, 1)
            : g.reshape(examples, -1, g.shape[^1]).transpose(0, 1);
    }

    public void Dispose()
    {
        _current = _outer;
        _jets.Dispose();
        foreach (var remove in _unhook)
            remove();
        _unhook.Clear();
        Clear();
        _probe.Dispose();
    }
}
