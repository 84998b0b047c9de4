using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>C⁻¹ by its truncated Neumann series, for an operator of known scale. Cheap and smooth in b if few terms are enough (Lorraine,
/// Vicol and Duvenaud 2020, arXiv:1911.02590).</summary>
/// <remarks><code>
/// C⁻¹ b = α Σ_i (I - α C)^i b:   r = b;   x ← x + α r,   r ← r - α C r
/// </code>r is b - C x, so the residual costs nothing.</remarks>
/// <param name="c">C, positive definite: a damped curvature. Not owned.</param>
/// <param name="options">Scale and stopping criteria; defaults if null.</param>
public sealed class NeumannInverse(LinearOperator c, NeumannOptions? options = null) : InverseOperator(c)
{
    private const double Growth = 1e3; // |r| / |b| from which the series counts as diverged
    private readonly NeumannOptions _options = options ?? new();

    private protected override (Tensor X, InverseReport Report) Solve(Tensor b)
    {
        var x = zeros_like(b);
        var r = b.clone();
        double residual = Relative(r, b);
        int i = 0;
        for (; i < _options.MaxIterations && residual > _options.Tolerance && residual < Growth; i++)
        {
            using var cr = Inverted.Apply(r);
            x.add_(r, alpha: _options.Scale);
            r.add_(cr, alpha: -_options.Scale);
            residual = Relative(r, b);
        }
        var status =
            !double.IsFinite(residual) ? InverseStatus.NotFinite
            : residual <= _options.Tolerance ? InverseStatus.Solved
            : residual > 1 ? InverseStatus.Diverged
            : InverseStatus.IterationLimit;
        return (x, new(status, i, residual));
    }
}
