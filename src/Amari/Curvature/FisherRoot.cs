namespace Amari.Curvature;

/// <summary>A root of the Fisher of few examples: A : [R, d] with F = A'A. The Gram matrix A A' is then much smaller than the
/// Fisher.</summary>
/// <remarks><code>
/// F = 1/M Σ_m J_m' B_m J_m,   B_m = Σ_k r_mk r_mk'      k runs over the C columns of Λ^½ (exact),
///                                                      over the draws (Monte Carlo, curvature propagation), or is 1 (empirical)
/// A = rows r_mk' J_m / √M                                R = M k
/// </code>The rows are those of a <see cref="ModelJacobian"/>: examples must not depend on each other.</remarks>
internal static class FisherRoot
{
    /// <summary>R for <paramref name="terms"/> terms with <paramref name="outputs"/> outputs.</summary>
    public static long Rows(FisherKind kind, int samples, long terms, long outputs) =>
        terms
        * (
            kind switch
            {
                FisherKind.Exact => outputs,
                FisherKind.MonteCarlo or FisherKind.CurvaturePropagation => samples,
                _ => 1,
            }
        );

    /// <summary>A, with the draws of a <see cref="Fisher"/> with the same seed. The caller owns it. Over several ranks, every rank has the
    /// rows of all.</summary>
    /// <param name="objective">An objective with a likelihood and a mean loss.</param>
    /// <param name="kind">The expectation over targets.</param>
    /// <param name="samples">Draws per term, for the kinds that draw.</param>
    /// <param name="seed">Seed of the draws.</param>
    public static CapturedJacobian Of(Objective objective, FisherKind kind, int samples, long seed)
    {
        var (layout, likelihood, ranks) = (objective.Parameters, objective.Likelihood!, objective.Ranks);
        var own = ModelJacobian.Of(objective, Cotangents, out long all);
        own.Scale(1 / Math.Sqrt(all));
        if (ranks.Size == 1)
            return own;
        using var scope = NewDisposeScope();
        using var mine = own;
        double[] parts = new double[ranks.Size]; // rows of each rank
        parts[ranks.Rank] = own.Rows;
        parts = ranks.Sum(parts);
        var a = zeros((long)parts.Sum(), layout.Dimension, dtype: layout.Type, device: layout.Device);
        if (own.Rows > 0)
            a.narrow(0, (long)parts.Take(ranks.Rank).Sum(), own.Rows).copy_(own.ToDense());
        objective.AddOverRanks(a);
        return new(layout, [new(a.shape[0], 1, [new DenseRows(a.DetachFromDisposeScope(), 0, a.shape[0])])]) { Fallback = own.Fallback };

        IReadOnlyList<Tensor> Cotangents(Objective.Batch batch)
        {
            using var off = no_grad();
            using var generator = batch.Draws(seed, layout.Device);
            var output = batch.Output.detach();
            long n = output.shape[0],
                each = likelihood.Terms(output) / n; // terms of an example
            List<Tensor> cotangents = [];
            foreach (var root in Roots(likelihood, kind, samples, batch, output, generator).Select(batch.OfCounted))
            {
                var terms = root.reshape(n, each, -1);
                for (long t = 0; t < each; t++)
                {
                    var only = each == 1 ? terms.clone() : zeros_like(terms);
                    if (each > 1)
                        only.select(1, t).copy_(terms.select(1, t));
                    cotangents.Add(only.reshape(output.shape));
                }
            }
            return cotangents;
        }
    }

    /// <summary>The k tensors r of a batch, with the shape of the output.</summary>
    private static IEnumerable<Tensor> Roots(
        Likelihood likelihood,
        FisherKind kind,
        int samples,
        Objective.Batch batch,
        Tensor output,
        Generator generator
    ) =>
        kind switch
        {
            FisherKind.Exact => Enumerable.Range(0, (int)likelihood.Outputs(output)).Select(c => likelihood.FisherRootColumn(output, c)),
            FisherKind.Empirical => [likelihood.Score(output, batch.Target)],
            _ => Enumerable.Range(0, samples).Select(_ => batch.Draw(kind, output, generator).div_(Math.Sqrt(samples))),
        };
}
