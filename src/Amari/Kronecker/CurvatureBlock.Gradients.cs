using Amari.Curvature;
using Amari.Native;

namespace Amari;

// The gradients of a layer's parameters.
internal abstract partial class CurvatureBlock
{
    /// <summary>Whether a parameter moves: one that is frozen, or that no loss since zero_grad depends on, stays as it is.</summary>
    public static bool HasGradient(Parameter p) => LibTorch.Gradient(p.Handle) != 0 && p.requires_grad;

    /// <summary>Dense; null if there is none.</summary>
    public static Tensor? Gradient(Parameter p) =>
        !HasGradient(p) ? null
        : p.grad is { is_sparse: true } sparse ? sparse.to_dense()
        : p.grad;

    /// <summary>Whether a parameter has a gradient.</summary>
    public bool IsReached => Parameters.Any(HasGradient);

    /// <summary>Whether a gradient is more than zeros, as those that a module's own zero_grad may leave.</summary>
    public bool IsUsed => Parameters.Any(p => Gradient(p) is { } g && g.ne(0).any().ToBoolean());

    /// <summary>V of the gradients, zeros where there is none; it may be a gradient itself.</summary>
    public Tensor JoinGradients() => Join([.. Parameters.Select(p => Gradient(p) ?? zeros_like(p))]);

    /// <summary>Where its parameters are in a layout that has them.</summary>
    public int[] PlacesIn(ParameterLayout layout) =>
        [
            .. Parameters.Select(p =>
                Enumerable.Range(0, layout.Parameters.Count).First(i => layout.Parameters[i].Parameter.Handle == p.Handle)
            ),
        ];

    /// <summary>Applies a map to the part of every block of v : [d, k], as [k, (groups,) out, in+1]; the rows of other parameters are
    /// multiplied by a number. A fresh tensor.</summary>
    public static Tensor Map(
        IReadOnlyList<CurvatureBlock> blocks,
        ParameterLayout layout,
        Tensor v,
        double others,
        Func<int, Tensor, Tensor> map
    )
    {
        using var scope = NewDisposeScope();
        long k = v.shape[1];
        var rows = v.T.contiguous();
        var result = others == 0 ? zeros_like(rows) : rows.mul(others);
        for (int b = 0; b < blocks.Count; b++)
        {
            using var inner = NewDisposeScope();
            int[] places = blocks[b].PlacesIn(layout);
            var y = map(b, blocks[b].Join([.. places.Select(i => Part(rows, i))], k));
            foreach (var (i, part) in places.Zip(blocks[b].Split(y, k)))
                Part(result, i).copy_(part.reshape(k, -1));
        }
        return result.T.contiguous().MoveToOuterDisposeScope();

        Tensor Part(Tensor t, int i) => t.narrow(1, layout.Offset(i), layout.Parameters[i].Parameter.numel());
    }
}
