using Amari.Kernels;

namespace Amari.Spectrum;

/// <summary>Products of few long vectors with each other.</summary>
internal static class TallProduct
{
    /// <summary>How many numbers of each vector are multiplied together: they fit in a cache.</summary>
    public const long Piece = 1 << 13;

    /// <summary>A B' for rows A : [k, d] and B : [l, d]: [k, l] in float64. The pieces are summed in it, because float32 loses digits in a
    /// long sum.</summary>
    public static Tensor Of(Tensor a, Tensor b)
    {
        if (RowProducts.IsUsable(a) && RowProducts.IsUsable(b))
            return tensor(RowProducts.Of(a, b, exact: false));
        using var scope = NewDisposeScope();
        var sum = zeros(a.shape[0], b.shape[0], dtype: ScalarType.Float64, device: a.device);
        for (long start = 0; start < a.shape[1]; start += Piece)
        {
            using var inner = NewDisposeScope();
            long length = Math.Min(Piece, a.shape[1] - start);
            sum.add_(a.narrow(1, start, length).mm(b.narrow(1, start, length).T));
        }
        return sum.MoveToOuterDisposeScope();
    }
}
