using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Preconditioned conjugate gradient for C x = b with C positive definite (Hestenes and Stiefel 1952; Nocedal and Wright,
/// Algorithm 5.3). The columns of a block are solved together, each with its own coefficients.</summary>
/// <remarks><code>
/// r = b - C x,  z = M⁻¹ r,  p = z
/// α = r'z / p'Cp,   x ← x + α p,   r ← r - α Cp,   z = M⁻¹ r,   β = r'z / (r'z)_old,   p ← z + β p
/// φ(x) = ½ x'Cx - b'x = -½ x'(b + r)
/// </code></remarks>
public static class ConjugateGradient
{
    private const int MinWindow = 10; // iterations over which progress is measured
    private const long Piece = 1 << 16;

    /// <summary>Solves C x = b.</summary>
    /// <param name="c">C, positive definite.</param>
    /// <param name="b">[d] or [d, k].</param>
    /// <param name="options">Stopping criteria; defaults if null.</param>
    /// <param name="preconditioner">v → M⁻¹ v, positive definite; none if null.</param>
    /// <param name="start">x₀, shaped as b; zero if null. Not changed.</param>
    /// <param name="visit">Called with (i, x) after each iteration. x is reused: clone it to keep it.</param>
    public static CgResult Solve(
        LinearOperator c,
        Tensor b,
        CgOptions? options = null,
        LinearOperator? preconditioner = null,
        Tensor? start = null,
        Action<int, Tensor>? visit = null
    )
    {
        // Longer than 60 lines: the loop shares its vectors, and reads as the recurrence above.
        ArgumentNullException.ThrowIfNull(c);
        ArgumentNullException.ThrowIfNull(b);
        options ??= new();
        using var run = c.BeginRun();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var right = Rows(b); // [k, d], as all vectors here
        var x = start is null ? zeros_like(right) : Rows(start).clone();
        var r = start is null ? right.clone() : right - c.ApplyToRows(x);
        var z = Precondition(r);
        var p = z.clone();
        double[] norms = Dots(right, right),
            rz = Dots(r, z);
        double residual = Residual();
        var status = residual <= options.Tolerance ? CgStatus.Converged : CgStatus.IterationLimit;
        var models = new List<double>(); // φ after each iteration, summed over columns
        int iterations = 0;
        while (status == CgStatus.IterationLimit && iterations < options.MaxIterations)
        {
            using var inner = NewDisposeScope();
            var cp = c.ApplyToRows(p);
            double[] curvature = Dots(p, cp);
            if (!Array.TrueForAll(curvature, double.IsFinite))
                status = CgStatus.NotFinite;
            // A column that is solved exactly has p = 0 and does not change.
            else if (curvature.Zip(rz).Any(t => t.First <= 0 && t.Second > 0))
                status = CgStatus.NegativeCurvature;
            if (status != CgStatus.IterationLimit)
                break;
            var alpha = Column(rz.Zip(curvature, (up, down) => down > 0 ? up / down : 0));
            x.addcmul_(p, alpha, 1);
            r.addcmul_(cp, alpha, -1);
            if (preconditioner is not null)
            {
                z.Dispose();
                z = Precondition(r).MoveToOuterDisposeScope();
            }
            double[] next = Dots(r, z);
            p.mul_(Column(next.Zip(rz, (up, down) => down > 0 ? up / down : 0))).add_(z);
            rz = next;
            iterations++;
            visit?.Invoke(iterations, b.dim() == 1 ? x.squeeze(0) : x.T);
            residual = Residual();
            if (!double.IsFinite(residual))
                status = CgStatus.NotFinite;
            else if (residual <= options.Tolerance)
                status = CgStatus.Converged;
            else if (options.ProgressTolerance is { } epsilon)
            {
                models.Add(-0.5 * Dots(x, right + r).Sum());
                int window = Math.Max(MinWindow, iterations / 10);
                if (iterations > window && models[^1] < 0 && (models[^1] - models[^(window + 1)]) / models[^1] < window * epsilon)
                    status = CgStatus.Stalled;
            }
        }
        return new(
            (b.dim() == 1 ? x.squeeze(0).clone() : x.T.contiguous().clone()).MoveToOuterDisposeScope(),
            status,
            iterations,
            residual
        );

        Tensor Precondition(Tensor v) => preconditioner is null ? v : preconditioner.ApplyToRows(v);

        Tensor Column(IEnumerable<double> values) => tensor(values.ToArray(), dtype: c.Type, device: c.Device).unsqueeze(1);

        double Residual() => Dots(r, r).Zip(norms, (rr, bb) => bb > 0 ? Math.Sqrt(rr / bb) : Math.Sqrt(rr)).Max();
    }

    /// <summary>Vectors as rows.</summary>
    private static Tensor Rows(Tensor columns) => columns.dim() == 1 ? columns.unsqueeze(0) : columns.T.contiguous();

    /// <summary>The inner products of corresponding rows, in pieces whose products stay in a cache.</summary>
    private static double[] Dots(Tensor u, Tensor v)
    {
        using var scope = NewDisposeScope();
        var sum = zeros(u.shape[0], dtype: ScalarType.Float64, device: u.device);
        for (long start = 0; start < u.shape[1]; start += Piece)
        {
            using var inner = NewDisposeScope();
            long length = Math.Min(Piece, u.shape[1] - start);
            sum.add_(u.narrow(1, start, length).mul(v.narrow(1, start, length)).sum(dim: 1));
        }
        return sum.Elements<double>();
    }
}
