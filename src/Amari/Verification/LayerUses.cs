namespace Amari.Verification;

/// <summary>Every call of every linear and convolutional layer in one forward pass, seen by plain hooks: the oracle of K-FAC's factors.</summary>
/// <remarks>A layer's output is replaced by a copy, so that an activation in place does not change what the gradient is taken of.
/// Patches of a convolution are taken by a convolution whose kernels are unit vectors, not by unfolding.</remarks>
internal sealed class LayerUses : IDisposable
{
    private readonly Dictionary<string, List<(Tensor X, Tensor S)>> _uses = [];
    private readonly Dictionary<string, nn.Module> _layers = [];

    public LayerUses(nn.Module<Tensor, Tensor> model, Tensor inputs)
    {
        var unhook = new List<Action>();
        foreach (var (name, module) in model.named_modules().Append((name: "", module: model)))
            if (module is Linear or Conv2d && _layers.TryAdd(name, module))
            {
                _uses[name] = [];
                var hook = ((nn.Module<Tensor, Tensor>)module).register_forward_hook((_, x, s) =>
                {
                    var kept = s.clone().DetachFromDisposeScope();                // a container may dispose what passes through it
                    _uses[name].Add((x.detach().DetachFromDisposeScope(), kept));
                    return kept.clone();
                });
                unhook.Add(hook.remove);
            }
        try
        {
            Output = model.call(inputs);
        }
        finally
        {
            foreach (var remove in unhook) remove();
        }
    }

    /// <summary>What the model gave, with its graph.</summary>
    public Tensor Output { get; }

    /// <summary>Whether the layer of this name is of a known kind, and was called through call().</summary>
    public bool Saw(string layer) => _uses.TryGetValue(layer, out var uses) && uses.Count > 0;

    /// <summary>A = Σ ā ā' / rows over all uses: [in+1, in+1], or [groups, ..] with groups.</summary>
    public Tensor A(string layer)
    {
        var rows = _uses[layer].ConvertAll(u => Inputs(_layers[layer], u.X));
        return rows.Select(r => r.mT.matmul(r)).Aggregate((a, b) => a + b) / rows.Sum(r => r.shape[^2]);
    }

    /// <summary>Σ g g' over all uses and cotangents: [out, out], or [groups, ..] with groups; g the gradient of ⟨output, cotangent⟩ at the layer's output.</summary>
    public Tensor OutputGram(string layer, IEnumerable<Tensor> cotangents)
    {
        Tensor? sum = null;
        foreach (var cotangent in cotangents)
            foreach (var g in Gradients(layer, cotangent))
            {
                var gram = g.mT.matmul(g);
                sum = sum is null ? gram : sum + gram;
            }
        return sum!;
    }

    /// <summary>Σ g ā' over all uses: what the gradient of [W b] is if every use was seen.</summary>
    public Tensor WeightGradient(string layer, Tensor cotangent) =>
        Gradients(layer, cotangent).Zip(_uses[layer], (g, u) => g.mT.matmul(Inputs(_layers[layer], u.X))).Aggregate((a, b) => a + b);

    private IEnumerable<Tensor> Gradients(string layer, Tensor cotangent) =>
        Problem.Derivative(Output, cotangent, [.. _uses[layer].Select(u => u.S)], true).Select(g => Outputs(_layers[layer], g));

    /// <summary>ā as rows: [rows, in+1] or [groups, rows, in+1].</summary>
    private static Tensor Inputs(nn.Module layer, Tensor x)
    {
        Tensor rows;
        Parameter? bias;
        if (layer is Conv2d conv)
        {
            long groups = conv.groups;
            long[] kernel = conv.weight!.shape;                 // [out, in/groups, kh, kw]
            long width = kernel[1] * kernel[2] * kernel[3];
            var units = eye(width, dtype: x.dtype, device: x.device).view(width, kernel[1], kernel[2], kernel[3]).repeat(groups, 1, 1, 1);
            var patches = PatchesOf(conv, x.dim() == 3 ? x.unsqueeze(0) : x, units);   // [n, groups width, h', w']
            rows = ByGroup(patches, groups);
            bias = conv.bias;
        }
        else
        {
            rows = x.reshape(-1, x.shape[^1]);
            bias = ((Linear)layer).bias;
        }
        return bias is { requires_grad: true } ? cat([rows, ones([.. rows.shape[..^1], 1], dtype: rows.dtype, device: rows.device)], -1) : rows;
    }

    private static Tensor Outputs(nn.Module layer, Tensor g) =>
        layer is Conv2d conv ? ByGroup(g.dim() == 3 ? g.unsqueeze(0) : g, conv.groups) : g.reshape(-1, g.shape[^1]);

    /// <summary>[n, groups c, h, w] → [n h w, c], or [groups, n h w, c].</summary>
    private static Tensor ByGroup(Tensor t, long groups)
    {
        var parts = t.chunk(groups, 1).Select(p => p.permute(0, 2, 3, 1).reshape(-1, p.shape[1])).ToList();
        return groups == 1 ? parts[0] : stack(parts);
    }

    private static Tensor PatchesOf(Conv2d conv, Tensor x, Tensor units)
    {
        long[] p = conv.padding is { Length: 2 } given ? given : [0, 0];
        long[] pad = [p[1], p[1], p[0], p[0]];                  // left, right, top, bottom
        if (conv.padding_type == Padding.Same)
        {
            long h = conv.dilation[0] * (units.shape[2] - 1), w = conv.dilation[1] * (units.shape[3] - 1);
            pad = [w / 2, w - w / 2, h / 2, h - h / 2];
        }
        x = nn.functional.pad(x, pad, conv.padding_mode == PaddingModes.Zeros ? PaddingModes.Constant : conv.padding_mode, 0);
        return nn.functional.conv2d(x, units, null, conv.stride, [0, 0], conv.dilation, conv.groups);
    }

    public void Dispose()
    {
        foreach (var (x, s) in _uses.Values.SelectMany(u => u))
        {
            x.Dispose();
            s.Dispose();
        }
    }
}
