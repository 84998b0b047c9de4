namespace Amari.Jets;

/// <summary>x + inner(x): a residual connection.</summary>
public sealed class Residual : nn.Module<Tensor, Tensor>
{
    /// <param name="inner">Its outputs have the shape of its inputs. Owned.</param>
    public Residual(nn.Module<Tensor, Tensor> inner)
        : base(nameof(Residual))
    {
        ArgumentNullException.ThrowIfNull(inner);
        Inner = inner;
        register_module("inner", inner);
    }

    /// <summary>The module that the connection goes around.</summary>
    public nn.Module<Tensor, Tensor> Inner { get; }

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        using var change = Inner.call(input);
        return input + change;
    }
}
