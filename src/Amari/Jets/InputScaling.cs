namespace Amari.Jets;

/// <summary>(2 x - low - high) / (high - low): maps a box to [-1, 1] on every axis, as a first layer.</summary>
public sealed class InputScaling : nn.Module<Tensor, Tensor>, IJetModule
{
    private const string Center = "center",
        Scale = "scale";

    /// <param name="low">The lower corner, finite; one number for each input.</param>
    /// <param name="high">The upper corner, finite and above the lower one on every axis.</param>
    public InputScaling(ReadOnlySpan<double> low, ReadOnlySpan<double> high)
        : base(nameof(InputScaling))
    {
        if (low.Length != high.Length || low.Length == 0)
            throw new ArgumentException($"The corners have {low.Length} and {high.Length} numbers; they must have one for each input.");
        double[] center = new double[low.Length],
            scale = new double[low.Length];
        for (int i = 0; i < low.Length; i++)
        {
            double width = high[i] - low[i];
            if (!(width > 0 && double.IsFinite(width)))
                throw new ArgumentException(
                    FormattableString.Invariant($"Axis {i} goes from {low[i]} to {high[i]}; both must be finite, and the second larger.")
                );
            (center[i], scale[i]) = ((low[i] + high[i]) / 2, 2 / width);
        }
        register_buffer(Center, tensor(center, dtype: get_default_dtype()).DetachFromDisposeScope());
        register_buffer(Scale, tensor(scale, dtype: get_default_dtype()).DetachFromDisposeScope());
    }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        using var shifted = input - get_buffer(Center)!;
        return shifted * get_buffer(Scale)!;
    }

    /// <inheritdoc/>
    public Jet Push(Jet x)
    {
        ArgumentNullException.ThrowIfNull(x);
        return x.WithValue(x.Orders[0] - get_buffer(Center)!).Each(o => o * get_buffer(Scale)!);
    }
}
