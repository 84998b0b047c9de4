namespace Amari.Curvature;

/// <summary>A root of the Fisher of few examples: A : [R, d] with F = A'A. The Gram matrix A A' is then much smaller than the
/// Fisher.</summary>
/// <remarks><code>
/// F = 1/M Σ_m J_m' B_m J_m,   B_m = Σ_k r_mk r_mk'      k runs over the C columns of Λ^½ (exact),
///                                                      over the draws (Monte Carlo, curvature propagation), or is 1 (empirical)
/// A = rows r_mk' J_m / √M                                R = M k
/// </code>A row is a backward pass through one example, which must not depend on other examples of its batch.</remarks>
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

    /// <summary>A, with the draws of a <see cref="Fisher"/> with the same seed. The caller owns it.</summary>
    /// <param name="objective">An objective with a likelihood and a mean loss.</param>
    /// <param name="kind">The expectation over targets.</param>
    /// <param name="samples">Draws per term, for the kinds that draw.</param>
    /// <param name="seed">Seed of the draws.</param>
    public static Tensor Of(Objective objective, FisherKind kind, int samples, long seed)
    {
        using var scope = NewDisposeScope();
        var (layout, likelihood, ranks) = (objective.Parameters, objective.Likelihood!, objective.Ranks);
        var roots = new List<Tensor[]>(); // k tensors [M, C] per batch
        long all = objective.Walk(
            false,
            batch =>
            {
                using var generator = batch.Draws(seed, layout.Device);
                var output = batch.Output.detach();
                roots.Add([
                    .. Roots(likelihood, kind, samples, batch, output, generator)
                        .Select(r => batch.OfCounted(r).reshape(likelihood.Terms(output), -1).clone().DetachFromDisposeScope()),
                ]);
            }
        );
        scope.Attach(roots.SelectMany(r => r));
        double[] parts = new double[ranks.Size]; // rows of each rank
        parts[ranks.Rank] = roots.Sum(r => r[0].shape[0] * r.Length);
        parts = ranks.Sum(parts);
        long row = (long)parts.Take(ranks.Rank).Sum();
        var a = zeros((long)parts.Sum(), layout.Dimension, dtype: layout.Type, device: layout.Device);
        if (roots.Count > 0)
            Fill();
        objective.AddOverRanks(a);
        return a.div_(Math.Sqrt(all)).MoveToOuterDisposeScope();

        void Fill()
        {
            int index = 0;
            long first = 0; // index of the next example's first term within its batch
            var examples = objective.Batches.SelectMany(b =>
                Enumerable.Range(0, (int)b.Inputs.shape[0]).Select(n => (b.Inputs.narrow(0, n, 1), b.Targets.narrow(0, n, 1)))
            );
            new Objective(objective.Model!, likelihood, examples, layout).Walk(
                true,
                batch =>
                {
                    if (first == roots[index][0].shape[0])
                        (index, first) = (index + 1, 0);
                    long terms = likelihood.Terms(batch.Output); // ignored terms have rows of zeros
                    foreach (var root in roots[index])
                        for (long t = 0; t < terms; t++, row++)
                        {
                            using var inner = NewDisposeScope();
                            var cotangent = zeros(terms, root.shape[1], dtype: root.dtype, device: root.device);
                            cotangent[t].copy_(root[first + t]);
                            using (no_grad())
                                a[row]
                                    .copy_(
                                        layout.Flatten(objective.Derivative(batch.Output, cotangent.view(batch.Output.shape), again: true))
                                    );
                        }
                    first += terms;
                }
            );
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
