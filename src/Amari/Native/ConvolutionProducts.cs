namespace Amari.Native;

/// <summary>The three products of a convolution y = x ∗ W, which is bilinear, by libtorch's kernels for a forward and a backward
/// pass.</summary>
/// <remarks>TorchSharp has no function for the gradients alone, so they are called through TorchScript, where errors are exceptions. With
/// gradients enabled, results have a graph.</remarks>
internal sealed class ConvolutionProducts : IDisposable
{
    // An error in this text would end the process, and so would a missing end of line.
    private static readonly Lazy<jit.CompilationUnit> Unit = new(() =>
        jit.compile(
            """
            def convolve(x, w, geometry, transposed: bool, groups: int):
                a: List[List[int]] = geometry.tolist()
                return torch.convolution(x, w, None, a[0], a[1], a[2], transposed, a[3], groups)

            def gradients(g, x, w, geometry, transposed: bool, groups: int, of_x: bool, of_w: bool) -> List[Tensor]:
                a: List[List[int]] = geometry.tolist()
                gx, gw, gb = torch.convolution_backward(g, x, w, None, a[0], a[1], a[2], transposed, a[3], groups, [of_x, of_w, False])
                results: List[Tensor] = []
                if of_x:
                    results.append(gx)
                if of_w:
                    results.append(gw)
                return results

            """
        )
    );

    private readonly Tensor _geometry; // [4, d]: strides, padding, dilation, padding of the output
    private readonly bool _transposed;
    private readonly long _groups;

    private ConvolutionProducts(Convolution layer, int d)
    {
        _geometry = tensor([.. layer.stride, .. layer.padding!, .. layer.dilation, .. Extra(layer, d)], [4, d], ScalarType.Int64)
            .DetachFromDisposeScope();
        (_transposed, _groups) = (layer.transposed, layer.groups);
    }

    /// <summary>Those of a layer; null where its padding is not of zeros, or not given by numbers.</summary>
    /// <param name="layer">Not owned.</param>
    public static ConvolutionProducts? TryOf(Convolution layer)
    {
        int d = (int)layer.weight.dim() - 2;
        long[]?[] geometry = [layer.stride, layer.padding, layer.dilation, Extra(layer, d)];
        return
            layer is { padding_mode: PaddingModes.Zeros, padding_type: null }
            && Array.TrueForAll(geometry, a => a is { Length: var n } && n == d)
            ? new(layer, d)
            : null;
    }

    private static long[] Extra(Convolution layer, int d) => layer is { transposed: true, output_padding: { } extra } ? extra : new long[d];

    /// <summary>x ∗ W.</summary>
    public Tensor Convolve(Tensor x, Tensor w) => (Tensor)Unit.Value.invoke("convolve", x, w, _geometry, _transposed, _groups);

    /// <summary>The gradients of ⟨x ∗ W, g⟩ with respect to x and W; null where they are not wanted.</summary>
    public (Tensor? OfX, Tensor? OfW) Gradients(Tensor g, Tensor x, Tensor w, bool ofX, bool ofW)
    {
        if (!ofX && !ofW)
            return default;
        var results = (Tensor[])Unit.Value.invoke("gradients", g, x, w, _geometry, _transposed, _groups, ofX, ofW);
        return (ofX ? results[0] : null, ofW ? results[^1] : null);
    }

    public void Dispose() => _geometry.Dispose();
}
