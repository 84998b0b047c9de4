namespace Amari.Curvature;

/// <summary>An unbiased estimate of the Fisher's diagonal: one gradient per draw, for any number of examples and outputs.</summary>
/// <remarks>Chapelle and Erhan 2011, "Improved preconditioner for Hessian free optimization", with scores of drawn targets as noise.
/// <code>
/// u = Σ_m J_m' s_m,  s_m the score of a target drawn for term m: independent, of mean 0, E[s s'] = Λ
/// E[u ∘ u] / M = diag(1/M Σ_m J_m' Λ_m J_m)
/// </code></remarks>
internal static class FisherDiagonal
{
    /// <summary>The estimate, [d]; NaN if an output is not finite. The caller owns it.</summary>
    /// <param name="objective">An objective with a likelihood and a mean loss.</param>
    /// <param name="samples">Number of draws, ≥ 1.</param>
    /// <param name="seed">Seed of the draws.</param>
    public static Tensor Of(Objective objective, int samples, long seed)
    {
        using var scope = NewDisposeScope();
        var layout = objective.Parameters;
        var sums = zeros(samples, layout.Dimension, dtype: layout.Type, device: layout.Device); // u of each draw
        long terms = objective.Walk(
            true,
            batch =>
            {
                using var generator = batch.Draws(seed, layout.Device);
                var output = batch.Output.detach();
                bool isFinite = output.isfinite().all().ToBoolean(); // otherwise there is no distribution to draw from
                if (!isFinite)
                    sums.fill_(double.NaN);
                for (int i = 0; isFinite && i < samples; i++)
                {
                    using var inner = NewDisposeScope();
                    var score = batch.OfCounted(batch.Draw(FisherKind.MonteCarlo, output, generator));
                    sums[i].add_(layout.Flatten(objective.Derivative(batch.Output, score, again: true)));
                }
            }
        );
        objective.AddOverRanks(sums);
        return sums.square().sum([0]).div_(terms * samples).MoveToOuterDisposeScope();
    }
}
