namespace Amari;

/// <summary>Which layer kind gets which block; everything else is trained by AdamW, with the reason told.</summary>
internal static class BlockCatalog
{
    /// <summary>The block of a layer, or why there is none.</summary>
    public static (KroneckerBlock? Block, string Reason) For(string name, nn.Module layer) => layer switch
    {
        Linear { weight.requires_grad: true } linear => (new LinearBlock(name, linear), "linear layer"),
        Conv2d { weight.requires_grad: true } conv => (new Conv2dBlock(name, conv), "2-D convolution"),
        Linear or Conv2d => (null, "the layer's weight is frozen"),
        _ => (null, $"no K-FAC block for a parameter of {layer.GetType().Name}"),
    };

    /// <summary>Whether a bias is there and not frozen.</summary>
    public static bool IsTrained(Parameter? bias) => bias is { requires_grad: true };
}
