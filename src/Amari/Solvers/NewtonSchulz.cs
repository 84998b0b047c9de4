using Amari.Native;
using Amari.Spectrum;

namespace Amari.Solvers;

/// <summary>The inverse of a matrix from an approximate inverse, by products only (Schulz 1933; Higham 2008, Functions of Matrices,
/// §7.3).</summary>
/// <remarks><code>
/// R = I - M X,   X ← X + X R      R becomes R², so it converges if ‖R‖ &lt; 1 at the start
/// </code>An iteration takes two products. Cholesky and its inverse cost half a product in operations.</remarks>
internal static class NewtonSchulz
{
    public const double Start = 0.9; // maximum ‖R‖ at the start
    private const int MaxIterations = 12,
        Probes = 8;
    private const double MaxResidual = 1e-2;

    /// <summary>M⁻¹, symmetric. Null if X is too far from it or rounding keeps the residual above 1e-2. The caller owns it.</summary>
    /// <param name="matrix">M : [.., n, n], symmetric.</param>
    /// <param name="start">X : [.., n, n].</param>
    /// <param name="tolerance">‖R‖ (Frobenius) at which it stops; by default the square root of the machine epsilon.</param>
    public static (Tensor? Inverse, double Residual, int Iterations) Of(Tensor matrix, Tensor start, double? tolerance = null)
    {
        using var scope = NewDisposeScope();
        double limit = tolerance ?? Math.Sqrt(finfo(matrix.dtype).eps),
            residual = Estimate(matrix, start);
        if (!(residual < Start))
            return (null, residual, 0);
        var one = eye(matrix.shape[^1], dtype: matrix.dtype, device: matrix.device);
        var x = start;
        var r = one - matrix.MatrixProduct(x);
        residual = Norm(r);
        if (!(residual < 1))
            return (null, residual, 0);
        int iterations = 0;
        while (residual > limit && iterations < MaxIterations)
        {
            var next = x + x.MatrixProduct(r);
            var rest = one - matrix.MatrixProduct(next);
            double now = Norm(rest);
            iterations++;
            if (!(now < residual))
                break; // rounding dominates
            (x, r, residual) = (next, rest, now);
        }
        return residual <= Math.Max(limit, MaxResidual)
            ? ((x + x.mT).mul_(0.5).MoveToOuterDisposeScope(), residual, iterations)
            : (null, residual, iterations);
    }

    /// <summary>‖I - M X‖ estimated with a few probes, at the cost of a product with as many columns.</summary>
    private static double Estimate(Tensor matrix, Tensor x)
    {
        using var generator = new Generator(1, CPU);
        var probes = randint(0, 2, [matrix.shape[^1], Probes], dtype: matrix.dtype, generator: generator).mul_(2).sub_(1).to(matrix.device);
        return Norm(probes - matrix.MatrixProduct(x.MatrixProduct(probes))) / Math.Sqrt(Probes);
    }

    private static double Norm(Tensor r) => r.square().sum([-2, -1]).max().sqrt().ToDouble();
}
