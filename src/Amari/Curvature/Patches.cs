namespace Amari.Curvature;

/// <summary>The patches that a convolution's outputs see: the inputs of the linear layer that it is at each position.</summary>
internal static class Patches
{
    /// <summary>[n, in, d..] → [n, in k.., positions], in the order of the weight's columns.</summary>
    /// <param name="layer">Without groups, padded with zeros.</param>
    /// <param name="x">Not owned.</param>
    public static Tensor Of(Convolution layer, Tensor x)
    {
        long[] kernel = layer.weight!.shape[2..];
        var t = nn.functional.pad(x, [.. layer.padding!.Reverse().SelectMany(p => new[] { p, p })]);
        for (int i = 0; i < kernel.Length; i++) // [n, in, positions.., k..]
        {
            long span = layer.dilation[i] * (kernel[i] - 1) + 1;
            t = t.unfold(2 + i, span, layer.stride[i]);
            if (layer.dilation[i] > 1)
                t = t.slice(-1, 0, span, layer.dilation[i]);
        }
        long[] positions = [.. Enumerable.Range(2, kernel.Length).Select(i => (long)i)],
            taps = [.. Enumerable.Range(2 + kernel.Length, kernel.Length).Select(i => (long)i)];
        return t.permute([0, 1, .. taps, .. positions]).reshape(t.shape[0], t.shape[1] * kernel.Aggregate(1L, (a, b) => a * b), -1);
    }
}
