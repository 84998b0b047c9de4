namespace Amari.Curvature;

/// <summary>Makes 2-D convolutions cheap to differentiate twice, while it lives.</summary>
/// <remarks>libtorch's double backward of a convolution always computes all three of its results, two of them by convolutions whose kernel
/// is a whole image: a product would cost several gradients more. Here the backward pass is written in operations that differentiate well.
/// <code>
/// y = x ∗ W + b      g_x = g ∗ᵀ W,   g_W = D(x, g), the weight gradient,   g_b = Σ g
/// g_W is bilinear: given V, its own backward pass is  ∂_x = g ∗ᵀ V,   ∂_g = x ∗ V
/// </code>It costs one more forward pass of the layers. Paddings other than by zeros keep libtorch's way, and so does a layer whose output
/// another hook has changed.</remarks>
internal sealed class Convolutions : IDisposable
{
    private readonly List<Action> _unhook = [];
    private readonly List<Tensor> _held = [];                    // what backward passes need: a forward() may dispose its intermediates

    public Convolutions(nn.Module? model)
    {
        foreach (var layer in model?.modules().Append(model).OfType<Conv2d>().Distinct() ?? [])
            if (layer is { padding_mode: PaddingModes.Zeros, padding_type: null, padding.Length: 2 })
                _unhook.Add(layer.register_forward_hook((_, x, y) => y.requires_grad && x.dim() == 4 ? Replace(layer, x, y) : y).remove);
    }

    /// <summary>Frees what the backward passes of the batch needed.</summary>
    public void Release()
    {
        foreach (var t in _held) t.Dispose();
        _held.Clear();
    }

    public void Dispose()
    {
        foreach (var remove in _unhook) remove();
        _unhook.Clear();
        Release();
    }

    private Tensor Replace(Conv2d layer, Tensor input, Tensor y)
    {
        var (w, b) = (layer.weight!, layer.bias);
        using var scope = NewDisposeScope();
        Tensor x = input.alias(), leaf = w.detach().requires_grad_(), own = Forward(layer, x.detach(), leaf, b?.detach());   // own has the graph of W alone
        if (!own.detach().equal(y.detach()).all().ToBoolean()) return y;
        scope.Detach([x, leaf, own]);
        _held.AddRange([x, leaf, own]);
        return Given.Apply(y.detach(), [x, w, .. b is null ? (Tensor[])[] : [b]], g =>
        [
            x.requires_grad ? Transposed(layer, x, g, w) : null,
            w.requires_grad ? WeightGradient(layer, own, leaf, x, g) : null,
            .. b is null ? (Tensor?[])[] : [b.requires_grad ? g.sum([0, 2, 3]) : null],
        ]).MoveToOuterDisposeScope();
    }

    private static Tensor Forward(Conv2d layer, Tensor x, Tensor w, Tensor? b) =>
        nn.functional.conv2d(x, w, b, layer.stride, layer.padding, layer.dilation, layer.groups);

    /// <summary>g ∗ᵀ W, shaped as x.</summary>
    private static Tensor Transposed(Conv2d layer, Tensor x, Tensor g, Tensor w)
    {
        long[] image = x.shape[2..], output = g.shape[2..], kernel = w.shape[2..], extra = new long[2];
        for (int i = 0; i < 2; i++)                              // rows that no position of the kernel reached
            extra[i] = image[i] - ((output[i] - 1) * layer.stride[i] - 2 * layer.padding![i] + layer.dilation[i] * (kernel[i] - 1) + 1);
        return nn.functional.conv_transpose2d(g, w, null, layer.stride, layer.padding, extra, layer.dilation, layer.groups);
    }

    /// <summary>D(x, g), from the layer's own graph over its weight.</summary>
    private static Tensor WeightGradient(Conv2d layer, Tensor own, Tensor leaf, Tensor x, Tensor g)
    {
        var value = autograd.grad([own], [leaf], [g.detach()], retain_graph: true)[0];
        var held = g.alias();
        return Given.Apply(value, [x, held], v =>
            [x.requires_grad ? Transposed(layer, x, held, v) : null, held.requires_grad ? Forward(layer, x, v, null) : null]);
    }

    /// <summary>A known value with a backward pass given by hand.</summary>
    private sealed class Given : autograd.SingleTensorFunction<Given>
    {
        public static Tensor Apply(Tensor value, Tensor[] inputs, Func<Tensor, Tensor?[]> backward) => apply([value, backward, .. inputs]);

        public override string Name => nameof(Given);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_data("backward", vars[1]);
            return (Tensor)vars[0];
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient) =>
            [null!, null!, .. ((Func<Tensor, Tensor?[]>)ctx.get_data("backward"))(gradient).Select(t => t!)];
    }
}
