using Amari.Native;
using Amari.Solvers;

namespace Amari.Kronecker;

/// <summary>The inverses of unit-wise blocks, damped when they were made: [units, 2, 2].</summary>
internal sealed class UnitwiseInverse(Tensor blocks) : BlockInverse
{
    /// <summary>[units, 2, 2].</summary>
    public Tensor Blocks => blocks;

    /// <summary>(F + λ I)⁻¹. Where the factorisation fails, the last one stays, and without it the identity is taken.</summary>
    /// <param name="f">F : [units, 2, 2].</param>
    /// <param name="damping">λ.</param>
    /// <param name="previous">The last one, if any.</param>
    public static (UnitwiseInverse Inverse, List<string> Messages) Of(Tensor f, double damping, UnitwiseInverse? previous)
    {
        using var scope = NewDisposeScope();
        var damped = f.clone();
        damped.diagonal(0, -2, -1).add_(damping);
        var (inverse, outcome) = SpdInverse.Cholesky(damped);
        var result =
            inverse?.contiguous()
            ?? previous?.Blocks.clone()
            ?? eye(damped.shape[^1], dtype: damped.dtype, device: damped.device).expand(damped.shape).clone();
        return (new(result.DetachFromDisposeScope()), Report(outcome, "F", previous is not null) is { } message ? [message] : []);
    }

    public override double MeanEigenvalue => 1;

    public override Tensor Apply(Tensor v, double damping) => Product(blocks, v);

    /// <summary>[units, 2, 2] times [.., units, 2]; a fresh tensor.</summary>
    public static Tensor Product(Tensor blocks, Tensor v)
    {
        using var scope = NewDisposeScope();
        return blocks.MatrixProduct(v.unsqueeze(-1)).squeeze(-1).MoveToOuterDisposeScope();
    }

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors() => [(nameof(Blocks), blocks)];

    public override BlockInverse Map(Func<Tensor, Tensor> map) => new UnitwiseInverse(map(blocks));

    /// <summary>Of saved tensors; null if there are none.</summary>
    public static UnitwiseInverse? Restored(Func<string, Tensor?> find) => find(nameof(Blocks)) is { } saved ? new(saved) : null;
}
