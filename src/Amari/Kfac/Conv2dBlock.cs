namespace Amari;

/// <summary>K-FAC block of a 2-D convolution (KFC, Grosse and Martens 2016): a row is the patch that one output position sees.</summary>
/// <remarks><code>
/// x : [n, in, h, w]    → unfolded patches [groups, n h' w', in/groups · kh · kw], in the order of the weight's own columns
/// g : [n, out, h', w'] → [groups, n h' w', out/groups]
/// </code>Stride, padding (of any mode), dilation and groups are the layer's; without groups the leading dimension is left out.</remarks>
internal sealed class Conv2dBlock(string name, Conv2d layer, bool hasBias)
    : KroneckerBlock(name, hasBias, layer.groups)
{
    public override string Kind => "K-FAC Conv2d";

    protected override Parameter Weight => layer.weight!;

    protected override Parameter? Bias => layer.bias;

    protected override Tensor Inputs(Tensor x)
    {
        long[] kernel = layer.weight!.shape[2..], dilation = layer.dilation, stride = layer.stride;
        var padded = Pad(x.dim() == 3 ? x.unsqueeze(0) : x, kernel, dilation);
        return Rows(nn.functional.unfold(padded, (kernel[0], kernel[1]), (dilation[0], dilation[1]), (0, 0), (stride[0], stride[1])));
    }

    protected override Tensor Outputs(Tensor g) => Rows((g.dim() == 3 ? g.unsqueeze(0) : g).flatten(2));

    /// <summary>[n, c, positions] → [n positions, c], or [groups, n positions, c / groups].</summary>
    private Tensor Rows(Tensor t)
    {
        long groups = layer.groups, n = t.shape[0], c = t.shape[1], positions = t.shape[2];
        return groups == 1
            ? t.transpose(1, 2).reshape(-1, c)
            : t.view(n, groups, c / groups, positions).permute(1, 0, 3, 2).reshape(groups, n * positions, c / groups);
    }

    private Tensor Pad(Tensor x, long[] kernel, long[] dilation)
    {
        long top, bottom, left, right;
        if (layer.padding_type == Padding.Same)
        {
            long h = dilation[0] * (kernel[0] - 1), w = dilation[1] * (kernel[1] - 1);
            (top, bottom, left, right) = (h / 2, h - h / 2, w / 2, w - w / 2);
        }
        else if (layer.padding_type == Padding.Valid || layer.padding is not { Length: 2 } p) return x;
        else (top, bottom, left, right) = (p[0], p[0], p[1], p[1]);
        if ((top | bottom | left | right) == 0) return x;
        var mode = layer.padding_mode == PaddingModes.Zeros ? PaddingModes.Constant : layer.padding_mode;
        return nn.functional.pad(x, (left, right, top, bottom), mode, 0);
    }
}
