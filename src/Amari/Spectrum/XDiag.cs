using Amari.Native;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>The diagonal by XDiag (Epperly, Tropp, Webber 2024, SIAM J. Matrix Anal. Appl. 45, arXiv:2301.07825, Section 4).</summary>
/// <remarks><code>
/// dᵢ = diag( Q₍ᵢ₎Q₍ᵢ₎'C ) + ωᵢ ∘ (C - Q₍ᵢ₎Q₍ᵢ₎'C) ωᵢ,    diag C ≈ mean dᵢ,    ωᵢ of random signs
/// </code>Needs memory for 5 k vectors.</remarks>
public static class XDiag
{
    private const long Rows = 1 << 14; // whose estimates are in a cache

    /// <summary>diag C and the standard error of each entry, both [d]; the caller owns them.</summary>
    /// <param name="op">C.</param>
    /// <param name="products">2 k, ≥ 4. Half of them (at most d) are probes. Exact, with errors 0, if the probes span the whole
    /// space.</param>
    /// <param name="seed">Seed of the probes.</param>
    public static (Tensor Value, Tensor StandardError) Diagonal(LinearOperator op, int products = 30, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(op);
        using var run = op.BeginRun();
        long k = Math.Min(Require.AtLeast(4, products) / 2, op.Dimension);
        using var scope = NewDisposeScope();
        using var generator = Probes.Generator(seed);
        if (k == op.Dimension)
        {
            var exact = op.ToDense().diagonal().clone();
            return (exact.MoveToOuterDisposeScope(), zeros_like(exact).MoveToOuterDisposeScope());
        }
        var type = op.Type;
        op = op.AtLeastFloat32();
        var sketch = new LeaveOneOut(op, Probes.Signs(op, k, generator));
        var x = sketch.Without(sketch.Z.T.mm(sketch.Omega)); // coordinates of Q₍ᵢ₎Q₍ᵢ₎'C ωᵢ in Q
        var (value, error) = (
            empty(op.Dimension, dtype: op.Type, device: op.Device),
            empty(op.Dimension, dtype: op.Type, device: op.Device)
        );
        for (long start = 0; start < op.Dimension; start += Rows)
        {
            using var inner = NewDisposeScope();
            Tensor q = Part(sketch.Q),
                z = Part(sketch.Z);
            var estimates = q.mul(z).sum(dim: 1, keepdim: true) - q.mm(sketch.S).mul_(z.mm(sketch.S));
            estimates.add_(Part(sketch.Omega) * (Part(sketch.Y) - q.mm(x))); // [rows, k]
            var mean = estimates.mean([1], keepdim: true);
            Part(value).copy_(mean.squeeze(1));
            Part(error).copy_((estimates - mean).square().sum(dim: 1).div_(k * (k - 1.0)).sqrt_());

            Tensor Part(Tensor all) => all.narrow(0, start, Math.Min(Rows, op.Dimension - start));
        }
        return (Own(value), Own(error));

        Tensor Own(Tensor t) => t.mul_(sketch.Scale).to_type(type).MoveToOuterDisposeScope();
    }
}
