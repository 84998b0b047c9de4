using Amari.Native;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>The diagonal by XDiag (Epperly, Tropp, Webber 2024, SIAM J. Matrix Anal. Appl. 45, arXiv:2301.07825, Section 4).</summary>
/// <remarks><code>
/// dᵢ = diag( Q₍ᵢ₎Q₍ᵢ₎'C ) + ωᵢ ∘ (C - Q₍ᵢ₎Q₍ᵢ₎'C) ωᵢ,    diag C ≈ mean dᵢ,    ωᵢ of random signs
/// </code>Needs memory for 3 k vectors. The standard errors take the dᵢ for independent, though they share probes: if the spectrum decays
/// slowly, two of them cover 79 to 86 % of the entries.</remarks>
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
        using var run = op.BeginRun();
        long k = Math.Min(Require.AtLeast(4, products) / 2, op.Dimension);
        using var scope = NewDisposeScope();
        using var generator = Probes.Generator(seed);
        if (k == op.Dimension)
        {
            var exact = op.ToDense().diagonal().clone();
            return (exact.MoveToOuterDisposeScope(), exact.mul(0).MoveToOuterDisposeScope());
        }
        var type = op.Type;
        op = op.AtLeastFloat32();
        var sketch = new LeaveOneOut(op, Probes.Signs(op, k, generator));
        Tensor s = sketch.S.T.to_type(op.Type),
            rest = sketch.S.mul(sketch.R).sum(dim: 0).unsqueeze(1).to_type(op.Type); // (C - Q₍ᵢ₎Q₍ᵢ₎'C) ωᵢ = restᵢ Q sᵢ
        var (value, error) = (
            empty(op.Dimension, dtype: op.Type, device: op.Device),
            empty(op.Dimension, dtype: op.Type, device: op.Device)
        );
        for (long start = 0; start < op.Dimension; start += TallProduct.Piece)
        {
            using var inner = NewDisposeScope();
            long length = Math.Min(TallProduct.Piece, op.Dimension - start);
            Tensor q = sketch.Q.narrow(1, start, length),
                z = sketch.Z.narrow(1, start, length);
            var estimates = sketch.Omega.narrow(1, start, length).mul(rest).sub_(s.mm(z)).mul_(s.mm(q)); // [k, length]
            estimates.add_(q.mul(z).sum(dim: 0, keepdim: true));
            var mean = estimates.mean([0], keepdim: true);
            value.narrow(0, start, length).copy_(mean.squeeze(0));
            error.narrow(0, start, length).copy_(estimates.sub_(mean).square().sum(dim: 0).div_(k * (k - 1.0)).sqrt_());
        }
        return (Own(value), Own(error));

        Tensor Own(Tensor t) => t.mul_(sketch.Scale).to_type(type).MoveToOuterDisposeScope();
    }
}
