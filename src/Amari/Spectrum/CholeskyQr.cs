using Amari.Kernels;
using Amari.Native;

namespace Amari.Spectrum;

/// <summary>Orthonormalises few long vectors by the Cholesky factor of their Gram matrix, twice where once is not enough (CholeskyQR2,
/// Fukaya et al. 2014).</summary>
/// <remarks><code>
/// Y'Y = R'R,   Q = Y R⁻¹          Y : [d, k];   ‖Q'Q - I‖ ≈ κ(Y)² ε of float64
/// </code>Gram matrices and quotients are computed in float64, a piece of the vectors at a time. So the condition number of Y may be up to
/// a million; beyond it, Householder reflections do the work.</remarks>
internal static class CholeskyQr
{
    private const int MaxPasses = 2;
    private const double MinPivot = 1e-6, // of R, relative to its largest
        Rounding = 16; // in units of the dtype's: how far Q'Q may be from I

    /// <summary>Y ← Q.</summary>
    /// <param name="rows">Y' : [k, d], k ≤ d, float32 or float64; becomes Q'.</param>
    /// <returns>R : [k, k], upper triangular, in float64.</returns>
    public static Tensor Run(Tensor rows)
    {
        using var scope = NewDisposeScope();
        var identity = eye(rows.shape[0], dtype: ScalarType.Float64, device: rows.device);
        var r = identity;
        for (int pass = 1; pass <= MaxPasses; pass++)
        {
            var (l, info) = linalg.cholesky_ex(Gram(rows));
            double[] pivots = l.diagonal().Elements<double>();
            if (!info.eq(0).ToBoolean() || !(pivots.Min() >= MinPivot * pivots.Max()))
            {
                var (q, last) = linalg.qr(rows.T);
                rows.copy_(q.T);
                return last.to_type(ScalarType.Float64).mm(r).MoveToOuterDisposeScope();
            }
            var inverse = linalg.solve_triangular(l, identity, upper: false);
            Transform(inverse, rows);
            r = l.T.mm(r);
            double condition = l.norm().ToDouble() * inverse.norm().ToDouble();
            if (condition * condition * finfo(ScalarType.Float64).eps <= Rounding * finfo(rows.dtype).eps)
                break;
        }
        return r.MoveToOuterDisposeScope();
    }

    /// <summary>Y' ← L⁻¹ Y', in float64.</summary>
    private static void Transform(Tensor inverse, Tensor rows)
    {
        if (RowProducts.IsUsable(rows))
            RowProducts.Transform(inverse.Elements<double>(), rows);
        else
            ForPieces(rows, piece => piece.copy_(inverse.mm(piece.to_type(ScalarType.Float64))));
    }

    /// <summary>Y'Y, in float64.</summary>
    private static Tensor Gram(Tensor rows)
    {
        if (RowProducts.IsUsable(rows))
            return tensor(RowProducts.Of(rows, rows, exact: true));
        using var scope = NewDisposeScope();
        var gram = zeros(rows.shape[0], rows.shape[0], dtype: ScalarType.Float64, device: rows.device);
        ForPieces(
            rows,
            piece =>
            {
                var wide = piece.to_type(ScalarType.Float64);
                gram.add_(wide.mm(wide.T));
            }
        );
        return gram.MoveToOuterDisposeScope();
    }

    private static void ForPieces(Tensor rows, Action<Tensor> visit)
    {
        for (long start = 0; start < rows.shape[1]; start += TallProduct.Piece)
        {
            using var scope = NewDisposeScope();
            visit(rows.narrow(1, start, Math.Min(TallProduct.Piece, rows.shape[1] - start)));
        }
    }
}
