using Amari.Native;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>The diagonal by XDiag (Epperly, Tropp, Webber 2024, SIAM J. Matrix Anal. Appl. 45, arXiv:2301.07825, Section 4).</summary>
/// <remarks><code>
/// dᵢ = diag( Q₍ᵢ₎Q₍ᵢ₎'C ) + ωᵢ ∘ (C - Q₍ᵢ₎Q₍ᵢ₎'C) ωᵢ,    diag C ≈ mean dᵢ,    ωᵢ of random signs
/// </code>Needs memory for 8 k vectors.</remarks>
public static class XDiag
{
    /// <summary>diag C and the standard error of each entry, both [d]; the caller owns them.</summary>
    /// <param name="op">C.</param>
    /// <param name="products">2 k, ≥ 4. Half of them (at most d) are probes. Exact, with errors 0, if the probes span the whole
    /// space.</param>
    /// <param name="seed">Seed of the probes.</param>
    public static (Tensor Value, Tensor StandardError) Diagonal(LinearOperator op, int products = 30, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(op);
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
        var estimates = sketch.Q.mul(sketch.Z).sum(dim: 1, keepdim: true) - sketch.Q.mm(sketch.S).mul_(sketch.Z.mm(sketch.S));
        var x = sketch.Without(sketch.Z.T.mm(sketch.Omega)); // coordinates of Q₍ᵢ₎Q₍ᵢ₎'C ωᵢ in Q
        estimates.add_(sketch.Omega * (sketch.Y - sketch.Q.mm(x))); // [d, k]
        var mean = estimates.mean([1]);
        var error = (estimates - mean.unsqueeze(1)).square().sum(dim: 1).div_(k * (k - 1.0)).sqrt_();
        return (Own(mean), Own(error));

        Tensor Own(Tensor t) => t.mul_(sketch.Scale).to_type(type).MoveToOuterDisposeScope();
    }
}
