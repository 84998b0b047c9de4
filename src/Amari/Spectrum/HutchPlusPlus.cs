using Amari.Kernels;
using Amari.Native;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>The trace by Hutch++ (Meyer, Musco, Musco, Woodruff 2021, arXiv:2010.09649, Algorithm 1): exact on a sketch of the range,
/// Hutchinson on the remainder.</summary>
/// <remarks><code>
/// Q = orth(C S)                                      S : [d, m/3] of random signs
/// tr C ≈ tr Q'C Q + 3/m tr G'(I - QQ') C (I - QQ') G     G : [d, m/3] of random signs
/// </code>The error falls as 1/m for a positive semi-definite C.</remarks>
public static class HutchPlusPlus
{
    /// <summary>tr C; the standard error is that of the Hutchinson part, and 0 when Q spans the whole space.</summary>
    /// <param name="op">C.</param>
    /// <param name="products">m, ≥ 6. A third of the products (at most d) span Q.</param>
    /// <param name="seed">Seed of the probes.</param>
    public static Estimate Trace(LinearOperator op, int products = 30, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(op);
        op = op.AtLeastFloat32();
        using var run = op.BeginRun();
        long k = Require.AtLeast(6, products) / 3,
            rank = Math.Min(k, op.Dimension);
        using var scope = NewDisposeScope();
        using var generator = Probes.Generator(seed);
        var q = op.ApplyToRows(Probes.Signs(op, rank, generator)); // Q', as all vectors here
        CholeskyQr.Run(q);
        double sketched = Form(q).Sum();
        if (rank == op.Dimension)
            return Estimate.Exact(sketched);
        var g = Probes.Signs(op, k, generator);
        g.addmm_(TallProduct.Of(g, q).to_type(op.Type), q, 1, -1);
        var rest = Estimate.OfMean(Form(g));
        return rest with { Value = sketched + rest.Value };

        double[] Form(Tensor z)
        {
            using var inner = NewDisposeScope();
            return InnerProducts.OfRows(z, op.ApplyToRows(z));
        }
    }
}
