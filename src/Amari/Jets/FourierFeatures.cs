using Amari.Native;

namespace Amari.Jets;

/// <summary>(sin B x, cos B x) for a fixed random matrix B (Tancik et al. 2020, arXiv:2006.10739): the first layer of networks that are
/// to represent high frequencies.</summary>
/// <remarks>B is a buffer with independent entries from N(0, scale²): it is saved with the model, and not trained.</remarks>
public sealed class FourierFeatures : nn.Module<Tensor, Tensor>, IJetModule
{
    private const string Matrix = "frequencies";

    /// <param name="dimensions">d ≥ 1, the number of inputs.</param>
    /// <param name="frequencies">≥ 1, the rows of B: the module has twice as many outputs.</param>
    /// <param name="scale">> 0, the standard deviation of the entries of B, in radians per unit of x.</param>
    /// <param name="generator">The source of randomness, by default torch's own.</param>
    public FourierFeatures(int dimensions, int frequencies, double scale = 1, Generator? generator = null)
        : base(nameof(FourierFeatures))
    {
        Require.AtLeast(1, dimensions, nameof(dimensions));
        Require.AtLeast(1, frequencies, nameof(frequencies));
        Require.Positive(scale, nameof(scale));
        using var unit = randn([frequencies, dimensions], generator: generator);
        register_buffer(Matrix, (unit * scale).DetachFromDisposeScope());
    }

    private Tensor B => get_buffer(Matrix)!;

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        var phase = nn.functional.linear(input, B);
        return cat([phase.sin(), phase.cos()], -1).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Jet Push(Jet x)
    {
        ArgumentNullException.ThrowIfNull(x);
        var phase = x.Each(o => nn.functional.linear(o, B));
        Jet sin = phase.Map(z => (z.sin(), z.cos(), -z.sin())),
            cos = phase.Map(z => (z.cos(), -z.sin(), -z.cos()));
        return new(x.Spec, [.. sin.Orders.Zip(cos.Orders, (s, c) => cat([s, c], -1))]);
    }
}
