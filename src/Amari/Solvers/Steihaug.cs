using Amari.Kernels;
using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>The trust-region problem min g'p + ½ p'Hp subject to |p| ≤ Δ for any symmetric H, by conjugate gradient truncated at the
/// boundary (Steihaug 1983; Nocedal and Wright, Algorithm 7.2).</summary>
/// <remarks><code>
/// r = g,  d = -g,  p = 0
/// d'Hd ≤ 0, or |p + α d| ≥ Δ:   p ← p + τ d with |p| = Δ, and stop
/// α = r'r / d'Hd,   p ← p + α d,   r ← r + α Hd,   β = r'r / (r'r)_old,   d ← -r + β d
/// </code>The model never increases along the path and |p| never decreases. For positive definite H the reduction is at least half of the
/// optimum (Yuan 2000). For indefinite H the step is at least as good as the Cauchy point, but not optimal.</remarks>
public static class Steihaug
{
    /// <summary>Solves the problem approximately.</summary>
    /// <param name="h">H.</param>
    /// <param name="g">[d].</param>
    /// <param name="radius">Δ > 0.</param>
    /// <param name="options">Stopping criteria; defaults if null.</param>
    public static SteihaugResult Solve(LinearOperator h, Tensor g, double radius, SteihaugOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(h);
        h.Check(g, nameof(g), columns: 0);
        Require.Positive(radius, nameof(radius));
        options ??= new();
        using var run = h.BeginRun();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        Tensor p = zeros_like(g),
            r = g.clone(),
            d = g.neg();
        double rr = Dot(r, r),
            norm = Math.Sqrt(rr);
        var status =
            !double.IsFinite(norm) ? SteihaugStatus.NotFinite
            : norm == 0 ? SteihaugStatus.Interior
            : SteihaugStatus.IterationLimit;
        int iterations = 0;
        while (status == SteihaugStatus.IterationLimit && iterations < options.MaxIterations)
        {
            using var inner = NewDisposeScope();
            var hd = h.Apply(d);
            iterations++;
            double curvature = Dot(d, hd),
                dd = Dot(d, d),
                pd = Dot(p, d),
                pp = Dot(p, p);
            if (!double.IsFinite(curvature))
            {
                status = SteihaugStatus.NotFinite;
                break;
            }
            double alpha = curvature > 0 ? rr / curvature : double.PositiveInfinity;
            if (pp + alpha * (2 * pd + alpha * dd) is var length && !(length < radius * radius))
            {
                status = curvature > 0 ? SteihaugStatus.Boundary : SteihaugStatus.NegativeCurvature;
                alpha = ToBoundary(dd, pd, Math.Max(0, radius * radius - pp));
            }
            p.add_(d, alpha: alpha);
            r.add_(hd, alpha: alpha);
            double next = Dot(r, r);
            if (status == SteihaugStatus.IterationLimit && Math.Sqrt(next) <= options.Tolerance * norm)
                status = SteihaugStatus.Interior;
            d.mul_(next / rr).sub_(r);
            rr = next;
        }
        double predicted = -0.5 * (Dot(p, g) + Dot(p, r)); // r = g + H p
        return new(p.MoveToOuterDisposeScope(), status, iterations, predicted, norm > 0 ? Math.Sqrt(rr) / norm : 0);
    }

    /// <summary>τ > 0 with |p + τ d|² = |p|² + room, without cancellation.</summary>
    private static double ToBoundary(double dd, double pd, double room)
    {
        double root = Math.Sqrt(pd * pd + dd * room);
        return pd > 0 ? room / (pd + root) : (root - pd) / dd;
    }

    private static double Dot(Tensor u, Tensor v) => InnerProducts.Dot(u, v);
}
