using Amari.Kernels;
using Amari.Native;
using Amari.Serialization;

namespace Amari.Solvers;

/// <summary>Preconditioned conjugate gradient for C x = b with C positive definite (Hestenes and Stiefel 1952; Nocedal and Wright,
/// Algorithm 5.3). The columns of a block are solved together, each with its own coefficients.</summary>
/// <remarks><code>
/// r = b - C x,  z = M⁻¹ r,  p = z
/// α = r'z / p'Cp,   x ← x + α p,   r ← r - α Cp,   z = M⁻¹ r,   β = r'z / (r'z)_old,   p ← z + β p
/// φ(x) = ½ x'Cx - b'x = -½ x'(b + r)
/// </code>A column whose residual is within the tolerance, or within rounding, has p = 0 from then on.</remarks>
public static class ConjugateGradient
{
    private const int MinWindow = 10; // iterations over which progress is measured
    private const double Rounding = 16; // of a residual, in units of the dtype's

    /// <summary>Solves C x = b.</summary>
    /// <param name="c">C, positive definite.</param>
    /// <param name="b">[d] or [d, k], k ≥ 1.</param>
    /// <param name="options">Stopping criteria; defaults if null.</param>
    /// <param name="preconditioner">v → M⁻¹ v, positive definite; none if null.</param>
    /// <param name="start">x₀, shaped as b; zero if null. Not changed.</param>
    /// <param name="visit">Called with (i, x) after each iteration. x is reused: clone it to keep it.</param>
    /// <exception cref="ArgumentException">Shapes, dtypes or dimensions do not fit.</exception>
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
        c.Check(b, nameof(b));
        if (start is not null)
            c.Check(start, nameof(start), columns: b.dim() == 1 ? 0 : b.shape[1]);
        if (preconditioner is not null && (preconditioner.Dimension != c.Dimension || preconditioner.Type != c.Type))
            throw new ArgumentException(
                $"The preconditioner is for {preconditioner.Type} [{preconditioner.Dimension}]; it must be for {c.Type} [{c.Dimension}].",
                nameof(preconditioner)
            );
        options ??= new();
        double rounding = Rounding * finfo(c.Type).eps;
        using var run = c.BeginRun();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var right = Rows(b); // [k, d], as all vectors here
        var x = start is null ? zeros_like(right) : Rows(start).clone();
        var r = start is null ? right.clone() : right - c.ApplyToRows(x);
        var z = Precondition(r);
        var p = z.clone();
        double[] norms = InnerProducts.OfRows(right, right),
            rz = InnerProducts.OfRows(r, z),
            residuals = Residuals(rz);
        End();
        var status = Status();
        var models = new List<double>(); // φ after each iteration, summed over columns
        int iterations = 0;
        while (status == CgStatus.IterationLimit && iterations < options.MaxIterations)
        {
            using var inner = NewDisposeScope();
            var cp = c.ApplyToRows(p);
            double[] curvature = InnerProducts.OfRows(p, cp);
            if (!Array.TrueForAll(curvature, double.IsFinite))
                status = CgStatus.NotFinite;
            // A column that is solved has p = 0 and does not change.
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
            double[] next = InnerProducts.OfRows(r, z);
            p.mul_(Column(next.Zip(rz, (up, down) => down > 0 ? up / down : 0))).add_(z);
            rz = next;
            iterations++;
            visit?.Invoke(iterations, b.dim() == 1 ? x.squeeze(0) : x.T);
            residuals = Residuals(next);
            End();
            status = Status();
            if (status != CgStatus.IterationLimit)
                break;
            if (options.ProgressTolerance is { } epsilon)
            {
                models.Add(-0.5 * InnerProducts.OfRows(x, right + r).Sum());
                int window = Math.Max(MinWindow, iterations / 10);
                if (iterations > window && models[^1] < 0 && (models[^1] - models[^(window + 1)]) / models[^1] < window * epsilon)
                    status = CgStatus.Stalled;
            }
        }
        return new(
            (b.dim() == 1 ? x.squeeze(0).clone() : x.T.contiguous().clone()).MoveToOuterDisposeScope(),
            status,
            iterations,
            residuals.Max()
        );

        Tensor Precondition(Tensor v) => preconditioner is null ? v : preconditioner.ApplyToRows(v);

        Tensor Column(IEnumerable<double> values) => tensor(values.ToArray(), dtype: c.Type, device: c.Device).unsqueeze(1);

        double[] Residuals(double[] rz) =>
            [
                .. (preconditioner is null ? rz : InnerProducts.OfRows(r, r)).Zip(
                    norms,
                    (rr, bb) => bb > 0 ? Math.Sqrt(rr / bb) : Math.Sqrt(rr)
                ),
            ];

        CgStatus Status() =>
            !Array.TrueForAll(residuals, double.IsFinite) ? CgStatus.NotFinite
            : Array.TrueForAll(residuals, e => e <= options.Tolerance) ? CgStatus.Converged
            : Array.TrueForAll(rz, e => e == 0) ? CgStatus.Stalled
            : CgStatus.IterationLimit;

        void End()
        {
            for (int i = 0; i < rz.Length; i++)
                if (residuals[i] <= Math.Max(options.Tolerance, rounding))
                {
                    using var row = p[i];
                    row.zero_();
                    rz[i] = 0;
                }
        }
    }

    /// <summary>Vectors as rows.</summary>
    private static Tensor Rows(Tensor columns) => columns.dim() == 1 ? columns.unsqueeze(0) : columns.T.contiguous();
}
