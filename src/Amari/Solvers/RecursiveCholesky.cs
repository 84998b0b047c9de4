using Amari.Native;

namespace Amari.Solvers;

/// <summary>The inverse of a positive definite matrix by a Cholesky factorisation that consists of products but for small blocks.</summary>
/// <remarks><code>
/// M = L L',   X = L⁻¹
/// M = [M₁ C'; C M₂]:   X₁ of M₁,   B = C X₁',   X₂ of M₂ - B B',   X = [X₁ 0; -X₂ B X₁  X₂]
/// M⁻¹ = X' X                       panels of rows up to the diagonal, over the rows of X that are not zero there
/// </code>Products run at more than twice the speed of LAPACK's factorisation and inverse, whose operations are fewer by a third. Diagonal
/// blocks are multiplied by their inverses in place of triangular solves: the error remains of the order of ε times the condition number
/// (Du Croz and Higham 1992, Stability of methods for matrix inversion, IMA Journal of Numerical Analysis 12).</remarks>
internal static class RecursiveCholesky
{
    /// <summary>The size from which it is faster than LAPACK.</summary>
    public const long LeastSize = 384;

    private const long LargestBlock = 128;

    /// <summary>M⁻¹, symmetric to the last bit; null if M is not positive definite up to rounding. The caller owns it.</summary>
    /// <param name="matrix">M : [n, n], symmetric.</param>
    public static Tensor? Inverse(Tensor matrix)
    {
        using var scope = NewDisposeScope();
        long n = matrix.shape[0];
        var x = zeros(n, n, dtype: matrix.dtype, device: matrix.device);
        if (!Invert(matrix, x))
            return null;
        var inverse = empty(n, n, dtype: matrix.dtype, device: matrix.device);
        for (long row = 0; row < n; row += LargestBlock)
        {
            long rows = Math.Min(LargestBlock, n - row);
            using var inner = NewDisposeScope();
            var lower = x.narrow(0, row, n - row);
            var panel = inverse.narrow(0, row, rows);
            panel.narrow(1, 0, row + rows).AddProduct(lower.narrow(1, row, rows).t(), lower.narrow(1, 0, row + rows), 0, 1);
            if (row > 0)
                inverse.narrow(0, 0, row).narrow(1, row, rows).copy_(panel.narrow(1, 0, row).t());
            var corner = panel.narrow(1, row, rows);
            corner.copy_((corner + corner.t()).mul_(0.5));
        }
        return inverse.MoveToOuterDisposeScope();
    }

    /// <summary>Writes X into the lower triangle of zeros; false if M is not positive definite.</summary>
    private static bool Invert(Tensor matrix, Tensor x)
    {
        using var scope = NewDisposeScope();
        long n = matrix.shape[0];
        if (n <= LargestBlock)
        {
            var (l, info) = linalg.cholesky_ex(matrix);
            if (!info.eq(0).ToBoolean())
                return false;
            x.copy_(linalg.solve_triangular(l, eye(n, dtype: l.dtype, device: l.device), upper: false));
            return true;
        }
        long half = (n / 2 + LargestBlock - 1) / LargestBlock * LargestBlock,
            rest = n - half;
        var (first, second) = (x.narrow(0, 0, half).narrow(1, 0, half), x.narrow(0, half, rest).narrow(1, half, rest));
        if (!Invert(matrix.narrow(0, 0, half).narrow(1, 0, half), first))
            return false;
        var b = matrix.narrow(0, half, rest).narrow(1, 0, half).MatrixProduct(first.t());
        var schur = matrix.narrow(0, half, rest).narrow(1, half, rest).clone();
        SymmetricProduct.AddTo(schur, b.neg(), b.t());
        if (!Invert(schur, second))
            return false;
        x.narrow(0, half, rest).narrow(1, 0, half).AddProduct(second, b.MatrixProduct(first), 0, -1);
        return true;
    }
}
