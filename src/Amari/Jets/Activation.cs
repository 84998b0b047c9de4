namespace Amari.Jets;

/// <summary>Smooth activations of TorchSharp as z → f(z), f'(z), f''(z).</summary>
internal static class Activation
{
    private static readonly double Density = 1 / Math.Sqrt(2 * Math.PI);

    /// <summary>The derivatives of an activation; null for other modules.</summary>
    public static Func<Tensor, (Tensor Value, Tensor First, Tensor Second)>? Of(nn.Module module) =>
        module switch
        {
            TorchSharp.Modules.Tanh => OfTanh,
            TorchSharp.Modules.Sigmoid => OfSigmoid,
            SiLU => OfSilu,
            Softplus s => z => OfSoftplus(z, s.beta, s.threshold),
            GELU { approximate: GELU.Approximate.tanh } => OfGeluByTanh,
            GELU => OfGelu,
            _ => null,
        };

    /// <summary>Whether an activation has no continuous second derivative.</summary>
    public static bool HasKink(nn.Module module) =>
        module
            is ReLU
                or ReLU6
                or LeakyReLU
                or PReLU
                or RReLU
                or ELU
                or CELU
                or SELU
                or Hardtanh
                or Hardsigmoid
                or Hardswish
                or Hardshrink
                or Softshrink
                or Threshold
                or Softsign;

    private static (Tensor, Tensor, Tensor) OfTanh(Tensor z)
    {
        var t = z.tanh();
        var first = 1 - t.square();
        return (t, first, t * first * -2);
    }

    private static (Tensor, Tensor, Tensor) OfSigmoid(Tensor z)
    {
        var s = z.sigmoid();
        var first = s * (1 - s);
        return (s, first, first * (1 - 2 * s));
    }

    private static (Tensor, Tensor, Tensor) OfSilu(Tensor z)
    {
        var s = z.sigmoid();
        var (value, rest) = (z * s, 1 - s);
        return (value, s + value * rest, s * rest * (2 + z - 2 * value));
    }

    private static (Tensor, Tensor, Tensor) OfSoftplus(Tensor z, double beta, double threshold)
    {
        var scaled = beta * z;
        var s = scaled.sigmoid().masked_fill(scaled > threshold, 1); // beyond the threshold torch takes z itself
        return (nn.functional.softplus(z, beta, threshold), s, beta * s * (1 - s));
    }

    private static (Tensor, Tensor, Tensor) OfGelu(Tensor z)
    {
        var below = (z * -Math.Sqrt(0.5)).erfc() / 2; // the probability of less than z
        var density = (z.square() / -2).exp() * Density;
        return (z * below, below + z * density, density * (2 - z.square()));
    }

    private static (Tensor, Tensor, Tensor) OfGeluByTanh(Tensor z)
    {
        const double Cubic = 0.044715;
        double k = Math.Sqrt(2 / Math.PI);
        var square = z.square();
        var t = (k * z * (1 + Cubic * square)).tanh();
        var slope = k * (1 + 3 * Cubic * square);
        var t1 = (1 - t.square()) * slope;
        var t2 = (1 - t.square()) * (6 * k * Cubic * z - 2 * t * slope.square());
        return (z * (1 + t) / 2, (1 + t + z * t1) / 2, t1 + z * t2 / 2);
    }
}
