using Amari.Jets;
using Amari.Native;

namespace Amari.Verification;

/// <summary>Records every call of every layer with a K-FAC block in one forward pass, by plain hooks. It is the oracle of K-FAC's
/// factors.</summary>
/// <remarks>In a physics-informed model layers are not called but shown the components of jets [C, n, ..], of which the first alone has the
/// bias. A layer's output is replaced by a copy, so that an in-place activation does not change the tensor that is differentiated.
/// Patches of a convolution are computed by a convolution with unit vectors as kernels, not by unfolding. Normalisations are computed from
/// their definition. Layers of the same kind that share a weight share their uses.</remarks>
internal sealed class LayerUses : IDisposable
{
    private readonly Dictionary<string, List<(Tensor X, Tensor S, bool IsJet)>> _uses = [];
    private readonly Dictionary<string, nn.Module> _layers = [];

    public LayerUses(nn.Module<Tensor, Tensor> model, Tensor inputs)
    {
        var unhook = new List<Action>();
        foreach (var (name, module) in model.named_modules().Append((name: "", module: model)))
            if (
                module is Linear or Convolution or Embedding or LayerNorm or GroupNorm or TorchSharp.Modules.BatchNorm
                && module.named_parameters(recurse: false).Any()
                && _layers.TryAdd(name, module)
            )
            {
                string? twin = _layers
                    .FirstOrDefault(o =>
                        o.Key != name
                        && BlockCatalog.IsAlike(o.Value, module)
                        && o.Value.get_parameter("weight")!.Handle == module.get_parameter("weight")!.Handle
                    )
                    .Key;
                _uses[name] = twin is null ? [] : _uses[twin];
                unhook.Add(FirstHook.Add((nn.Module<Tensor, Tensor>)module, (_, x, s) => Seen(name, x, s, isJet: false)));
            }
        var names = _layers.ToDictionary(l => l.Value, l => l.Key);
        try
        {
            using var jets = new LayerObserver((layer, x, s) => names.TryGetValue(layer, out var name) ? Seen(name, x, s, isJet: true) : s);
            Output = model.call(inputs);
        }
        finally
        {
            foreach (var remove in unhook)
                remove();
        }
    }

    private Tensor Seen(string name, Tensor x, Tensor s, bool isJet)
    {
        var kept = s.clone().DetachFromDisposeScope(); // a container may dispose the tensors that pass through it
        if (isJet && !kept.requires_grad)
            kept.requires_grad = true; // its weight is frozen, and its bias follows
        _uses[name].Add((x.detach().DetachFromDisposeScope(), kept, isJet));
        return kept.clone();
    }

    /// <summary>The model's output, with its graph.</summary>
    public Tensor Output { get; }

    /// <summary>Whether the layer of this name is supported and was called through call().</summary>
    public bool Saw(string layer) => _uses.TryGetValue(layer, out var uses) && uses.Count > 0;

    /// <summary>A = Σ ā ā' / rows over all uses: [in+1, in+1], or [groups, ..] with groups; the diagonal for an embedding.</summary>
    public Tensor A(string layer, bool bias)
    {
        if (_layers[layer] is Embedding e)
        {
            var ids = cat([.. _uses[layer].Select(u => u.X.flatten().masked_select(Counts(e, u.X)))]);
            return stack([.. Enumerable.Range(0, (int)e.weight!.shape[0]).Select(i => ids.eq(i).sum())]).to_type(Output.dtype)
                / ids.numel();
        }
        var rows = _uses[layer].ConvertAll(u => Inputs(_layers[layer], u.X, bias, u.IsJet));
        return rows.Select(r => r.mT.MatrixProduct(r)).Aggregate((a, b) => a + b) / rows.Sum(r => r.shape[^2]);
    }

    /// <summary>Σ g g' over all uses and cotangents: [out, out], or [groups, ..] with groups. g is the gradient of ⟨output, cotangent⟩ at
    /// the layer's output.</summary>
    public Tensor OutputGram(string layer, IEnumerable<Tensor> cotangents)
    {
        Tensor? sum = null;
        foreach (var cotangent in cotangents)
        foreach (var g in Gradients(layer, cotangent))
        {
            var gram = g.mT.MatrixProduct(g);
            sum = sum is null ? gram : sum + gram;
        }
        return sum!;
    }

    /// <summary>Σ g ā' over all uses, which equals the gradient of [W b] if every use was recorded; (Σ g x̂, Σ g) : [units, 2] for a
    /// normalisation.</summary>
    public Tensor WeightGradient(string layer, Tensor cotangent, bool bias)
    {
        var module = _layers[layer];
        return IsNorm(layer)
            ? UnitGradients(layer, cotangent, bias).Select(p => p.sum([0, 1])).Aggregate((a, b) => a + b)
            : Gradients(layer, cotangent)
                .Zip(
                    _uses[layer],
                    (g, u) =>
                        g.mT.MatrixProduct(
                            module is Embedding e
                                ? nn.functional.one_hot(u.X.flatten(), e.weight!.shape[0]).to_type(g.dtype)
                                : Inputs(module, u.X, bias, u.IsJet)
                        )
                )
                .Aggregate((a, b) => a + b);
    }

    /// <summary>Whether the layer is a normalisation, with a 2 x 2 block per unit.</summary>
    public bool IsNorm(string layer) => _layers[layer] is not (Linear or Convolution or Embedding);

    /// <summary>Σ p p' over terms, p = (Σ g x̂, Σ g) over the positions of one term: [units, 2, 2].</summary>
    public Tensor UnitGram(string layer, IEnumerable<Tensor> cotangents, long terms, bool bias)
    {
        Tensor? sum = null;
        foreach (var cotangent in cotangents)
        foreach (var p in UnitGradients(layer, cotangent, bias))
        {
            var rows = p.shape[0] == terms ? p.sum(dim: 1) : p.flatten(0, 1);
            var gram = (rows.unsqueeze(-1) * rows.unsqueeze(-2)).sum(dim: 0);
            sum = sum is null ? gram : sum + gram;
        }
        return sum!;
    }

    /// <summary>(g x̂, g) of every use: [n, r, units, 2], or [n, r, units, 1] without a shift.</summary>
    private IEnumerable<Tensor> UnitGradients(string layer, Tensor cotangent, bool bias)
    {
        var gradients = Problem.Derivative(Output, cotangent, [.. _uses[layer].Select(u => u.S)], true);
        return gradients.Zip(
            _uses[layer],
            (g, u) =>
            {
                var (normal, gradient) = (Positions(Normalised(_layers[layer], u.X)), Positions(g));
                return bias ? stack([normal * gradient, gradient], -1) : (normal * gradient).unsqueeze(-1);
            }
        );

        Tensor Positions(Tensor t) =>
            _layers[layer] is LayerNorm l
                ? t.reshape(t.dim() == l.normalized_shape.Length ? 1 : t.shape[0], -1, l.weight!.numel())
                : t.reshape(t.shape[0], t.shape[1], -1).mT;
    }

    /// <summary>(x - mean) / √(variance + ε), by definition.</summary>
    private static Tensor Normalised(nn.Module layer, Tensor x)
    {
        if (layer is NormBase { training: false, running_mean: { } mean, running_var: { } variance } b)
        {
            long[] shape = [1, -1, .. Enumerable.Repeat(1L, (int)x.dim() - 2)];
            return (x - mean.view(shape)) / (variance.view(shape) + b.eps).sqrt();
        }
        var (rows, dims, eps) = layer switch
        {
            LayerNorm l => (
                x,
                Enumerable.Range((int)x.dim() - l.normalized_shape.Length, l.normalized_shape.Length).Select(i => (long)i).ToArray(),
                l.eps
            ),
            GroupNorm l => (x.reshape(x.shape[0], l.num_groups, -1), [2L], l.eps),
            NormBase l => (x, [0L, .. Enumerable.Range(2, (int)x.dim() - 2).Select(i => (long)i)], l.eps),
            _ => throw new NotSupportedException(layer.GetType().Name),
        };
        var centred = rows - rows.mean(dims, keepdim: true);
        return (centred / (centred.square().mean(dims, keepdim: true) + eps).sqrt()).reshape(x.shape);
    }

    private IEnumerable<Tensor> Gradients(string layer, Tensor cotangent) =>
        Problem
            .Derivative(Output, cotangent, [.. _uses[layer].Select(u => u.S)], true)
            .Zip(
                _uses[layer],
                (g, u) =>
                    Outputs(_layers[layer], g) is var rows && _layers[layer] is Embedding e ? rows * Counts(e, u.X).unsqueeze(-1) : rows
            );

    /// <summary>Whether a position is not of the padding, a row of the table whose gradient is 0: [positions].</summary>
    private static Tensor Counts(Embedding layer, Tensor x)
    {
        var ids = x.flatten();
        var rows = layer.forward(ids);
        var gradient = Problem.Derivative(rows, ones_like(rows), [layer.get_parameter("weight")!], true).Single();
        return gradient.to_dense().index_select(0, ids.to_type(ScalarType.Int64)).ne(0).any(1);
    }

    /// <summary>ā as rows: [rows, in+1] or [groups, rows, in+1].</summary>
    private static Tensor Inputs(nn.Module layer, Tensor x, bool bias, bool isJet)
    {
        Tensor rows;
        if (layer is Convolution conv)
        {
            long groups = conv.groups,
                inputs = conv.in_channels / groups;
            long[] kernel = conv.weight!.shape[2..];
            long width = inputs * kernel.Aggregate(1L, (a, b) => a * b);
            // [out, in/groups, k..], transposed [in, out/groups, k..]
            var units = eye(width, dtype: x.dtype, device: x.device).view([width, inputs, .. kernel]);
            units = (conv.transposed ? units.transpose(0, 1) : units).repeat([groups, 1, .. kernel.Select(_ => 1L)]);
            rows = ByGroup(PatchesOf(conv, x.dim() == kernel.Length + 1 ? x.unsqueeze(0) : x, units), groups); // of [n, groups width, d..]
        }
        else
            rows = x.reshape(-1, x.shape[^1]);
        if (!bias)
            return rows;
        var one = ones([.. rows.shape[..^1], 1], dtype: rows.dtype, device: rows.device);
        if (isJet)
            one.narrow(0, x.shape[1], one.shape[0] - x.shape[1]).zero_();
        return cat([rows, one], -1);
    }

    private static Tensor Outputs(nn.Module layer, Tensor g) =>
        layer is Convolution conv
            ? ByGroup(g.dim() == conv.weight!.dim() - 1 ? g.unsqueeze(0) : g, conv.groups)
            : g.reshape(-1, g.shape[^1]);

    /// <summary>[n, groups c, d..] → [n positions, c], or [groups, n positions, c].</summary>
    private static Tensor ByGroup(Tensor t, long groups)
    {
        var parts = t.flatten(2).chunk(groups, 1).Select(p => p.permute(0, 2, 1).reshape(-1, p.shape[1])).ToList();
        return groups == 1 ? parts[0] : stack(parts);
    }

    private static Tensor PatchesOf(Convolution conv, Tensor x, Tensor units)
    {
        int d = units.shape.Length - 2;
        long[] stride = conv.stride,
            dilation = conv.dilation,
            none = [.. Enumerable.Repeat(0L, d)];
        if (conv.transposed)
        {
            long[] padding = conv.padding ?? none,
                extra = conv.output_padding ?? none;
            return d switch
            {
                1 => nn.functional.conv_transpose1d(x, units, null, stride[0], padding[0], extra[0], dilation[0], conv.groups),
                2 => nn.functional.conv_transpose2d(x, units, null, stride, padding, extra, dilation, conv.groups),
                _ => nn.functional.conv_transpose3d(x, units, null, stride, padding, extra, dilation, conv.groups),
            };
        }
        var pad = new List<long>(); // before and after, the last dimension first
        for (int i = d - 1; i >= 0; i--)
        {
            long same = dilation[i] * (units.shape[2 + i] - 1),
                given = conv.padding is { } p && p.Length == d ? p[i] : 0;
            if (conv.padding_type == Padding.Same)
                pad.AddRange([same / 2, same - same / 2]);
            else
                pad.AddRange([given, given]);
        }
        x = nn.functional.pad(x, [.. pad], conv.padding_mode == PaddingModes.Zeros ? PaddingModes.Constant : conv.padding_mode, 0);
        return d switch
        {
            1 => nn.functional.conv1d(x, units, null, stride[0], 0, dilation[0], conv.groups),
            2 => nn.functional.conv2d(x, units, null, stride, none, dilation, conv.groups),
            _ => nn.functional.conv3d(x, units, null, stride, none, dilation, conv.groups),
        };
    }

    public void Dispose()
    {
        foreach (var (x, s, _) in _uses.Values.SelectMany(u => u))
        {
            x.Dispose();
            s.Dispose();
        }
    }
}
