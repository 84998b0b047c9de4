using Amari.Native;

namespace Amari.Jets;

/// <summary>sin(ω z), the activation of sinusoidal networks (Sitzmann et al. 2020, arXiv:2006.09661).</summary>
/// <param name="frequency">ω > 0.</param>
public sealed class Sin(double frequency = 1) : nn.Module<Tensor, Tensor>(nameof(Sin)), IJetModule
{
    /// <summary>ω.</summary>
    public double Frequency { get; } = Require.Positive(frequency, nameof(frequency));

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        ArgumentNullException.ThrowIfNull(input);
        using var phase = Frequency == 1 ? input.alias() : input * Frequency;
        return phase.sin();
    }

    /// <inheritdoc/>
    public Jet Push(Jet x)
    {
        ArgumentNullException.ThrowIfNull(x);
        return (Frequency == 1 ? x : Frequency * x).Map(z =>
        {
            var sin = z.sin();
            return (sin, z.cos(), -sin);
        });
    }
}
