namespace Amari.Kronecker;

/// <summary>K-FAC block of a convolution in 1, 2 or 3 dimensions (KFC, Grosse and Martens 2016): a row is the patch that one output
/// position sees.</summary>
/// <remarks><code>
/// x : [n, in, d..]    → patches [groups, n, positions, in/groups · k..], in the order of the weight's own columns
/// g : [n, out, d'..]  → [groups, n, positions, out/groups]
/// </code>Stride, padding (of any mode), dilation and groups are the layer's; without groups the leading dimension is left out.
/// A transposed convolution is one with stride 1 over its input spread out by the stride, with the kernel reversed: W : [in, out/groups,
/// k..].</remarks>
internal sealed class ConvolutionBlock(string name, Convolution layer, bool hasBias) : KroneckerBlock(name, hasBias, layer.groups)
{
    private readonly bool _transposed = layer.transposed;

    public override string Kind => $"K-FAC {layer.GetType().Name}";

    protected override Parameter Weight => layer.weight!;

    protected override Parameter? Bias => layer.bias;

    public override int? ExampleDimensions => Kernel.Length + 1;

    private long[] Kernel => layer.weight!.shape[2..];

    protected override Tensor Inputs(Tensor x)
    {
        int dimensions = Kernel.Length;
        if (x.dim() == dimensions + 1)
            x = x.unsqueeze(0);
        var t = _transposed ? Spread(x) : Padded(x);
        for (int i = 0; i < dimensions; i++) // [n, in, positions.., k..]
        {
            long span = layer.dilation[i] * (Kernel[i] - 1) + 1;
            t = t.unfold(2 + i, span, _transposed ? 1 : layer.stride[i]);
            if (layer.dilation[i] > 1)
                t = t.slice(-1, 0, span, layer.dilation[i]);
        }
        if (_transposed)
            t = t.flip([.. Enumerable.Range(2 + dimensions, dimensions).Select(i => (long)i)]);
        // positions last while copying: long runs
        t = t.permute([
            0,
            1,
            .. Enumerable.Range(2 + dimensions, dimensions).Select(i => (long)i),
            .. Enumerable.Range(2, dimensions).Select(i => (long)i),
        ]);
        return Positions(t.reshape(t.shape[0], t.shape[1] * Kernel.Aggregate(1L, (a, b) => a * b), -1));
    }

    protected override Tensor Outputs(Tensor g) => Positions((g.dim() == Kernel.Length + 1 ? g.unsqueeze(0) : g).flatten(2));

    /// <summary>[n, c, positions] → [n, positions, c], or [groups, n, positions, c / groups].</summary>
    private Tensor Positions(Tensor t) =>
        layer.groups == 1 ? t.transpose(1, 2) : t.view(t.shape[0], layer.groups, -1, t.shape[2]).permute(1, 0, 3, 2);

    protected override Tensor Matrix(Tensor w, long[] batch) =>
        !_transposed
            ? base.Matrix(w, batch)
            : w.reshape([.. batch, layer.groups, Weight.shape[0] / layer.groups, Weight.shape[1], -1])
                .transpose(-3, -2)
                .reshape([.. Lead(batch), Weight.shape[1], -1]);

    protected override Tensor FromMatrix(Tensor m, long[] batch) =>
        !_transposed
            ? base.FromMatrix(m, batch)
            : m.reshape([.. batch, layer.groups, Weight.shape[1], Weight.shape[0] / layer.groups, -1])
                .transpose(-3, -2)
                .reshape([.. batch, .. Weight.shape]);

    private Tensor Padded(Tensor x)
    {
        var sides = new List<(long Before, long After)>();
        for (int i = 0; i < Kernel.Length; i++)
        {
            long total = layer.dilation[i] * (Kernel[i] - 1);
            sides.Add(
                layer.padding_type switch
                {
                    Padding.Same => (total / 2, total - total / 2),
                    Padding.Valid => (0, 0),
                    _ => layer.padding is { } p && p.Length == Kernel.Length ? (p[i], p[i]) : (0, 0),
                }
            );
        }
        return Pad(x, sides, layer.padding_mode == PaddingModes.Zeros ? PaddingModes.Constant : layer.padding_mode);
    }

    /// <summary>Zeros between the entries and around them, so that a sliding window of the kernel's span meets every output
    /// position.</summary>
    private Tensor Spread(Tensor x)
    {
        long[] size = [.. Kernel.Select((_, i) => (x.shape[2 + i] - 1) * layer.stride[i] + 1)];
        var wide = x;
        if (layer.stride.Any(s => s > 1))
        {
            wide = zeros([x.shape[0], x.shape[1], .. size], dtype: x.dtype, device: x.device);
            var places = wide;
            for (int i = 0; i < size.Length; i++)
                places = places.slice(2 + i, 0, size[i], layer.stride[i]);
            places.copy_(x);
        }
        return Pad(
            wide,
            [
                .. Kernel.Select(
                    (k, i) =>
                    {
                        long around = layer.dilation[i] * (k - 1) - (layer.padding is { } p ? p[i] : 0);
                        return (around, around + (layer.output_padding is { } o ? o[i] : 0));
                    }
                ),
            ],
            PaddingModes.Constant
        );
    }

    private static Tensor Pad(Tensor x, List<(long Before, long After)> sides, PaddingModes mode) =>
        sides.TrueForAll(s => s == (0, 0))
            ? x
            : nn.functional.pad(x, sides.AsEnumerable().Reverse().SelectMany(s => new[] { s.Before, s.After }).ToArray(), mode, 0);
}
