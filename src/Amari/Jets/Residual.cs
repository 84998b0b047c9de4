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
        ArgumentNullException.ThrowIfNull(input);
        using var change = Inner.call(input);
        return input.shape.AsSpan().SequenceEqual(change.shape)
            ? input + change
            : throw Error($"[{string.Join(", ", input.shape)}]", $"[{string.Join(", ", change.shape)}]");
    }

    /// <summary>x + inner(x) of jets.</summary>
    internal static Jet Push(Jet x, Func<Jet, Jet> inner)
    {
        var change = inner(x);
        long from = x.Orders[0].shape[^1],
            to = change.Orders[0].shape[^1];
        return from == to ? x + change : throw Error($"{from} features", $"{to}");
    }

    private static ArgumentException Error(string input, string output) =>
        new(
            $"The inner module of a residual connection makes {output} of {input}; its outputs must have the shape of its inputs.",
            nameof(input)
        );
}
