using Amari.Kernels;
using Amari.Likelihoods;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>The Fisher information of a model, never formed: E[ J' B J ] where B is, for each term, Λ (exact), the mean of s s' over draws
/// (Monte-Carlo: s the score of a label that the model draws; curvature propagation: s = Λ^½ ξ, ξ of random signs), or s s' of the data's
/// own targets (empirical).</summary>
/// <remarks>The same draws are made in every product: the operator is a fixed matrix for a fixed seed.</remarks>
public sealed class Fisher : GaussNewton
{
    private readonly long _seed;

    /// <param name="objective">With a likelihood.</param>
    /// <param name="kind">Which expectation over targets.</param>
    /// <param name="samples">Draws, ≥ 1, where the kind draws.</param>
    /// <param name="seed">Of the draws.</param>
    /// <exception cref="ArgumentException">A plain function has no output.</exception>
    public Fisher(Objective objective, FisherKind kind = FisherKind.Exact, int samples = 1, long seed = 0)
        : base(objective)
    {
        Kind = FisherKinds.OfOutputs(kind);
        Samples = Require.AtLeast(1, samples);
        _seed = seed;
    }

    /// <summary>Which expectation over targets.</summary>
    public FisherKind Kind { get; }

    /// <summary>Draws per term for <see cref="FisherKind.MonteCarlo"/> and <see cref="FisherKind.CurvaturePropagation"/>.</summary>
    public int Samples { get; }

    private protected override Func<Tensor, Tensor> Metric(Objective.Batch batch, Tensor output)
    {
        if (Kind == FisherKind.Exact)
            return t => batch.OfCounted(Likelihood.FisherProduct(output, t));
        Tensor[] scores = Kind == FisherKind.Empirical ? [Flat(Likelihood.Score(output, batch.Target))] : Draw();
        return t =>
        {
            var flat = Flat(t);
            var sum = zeros_like(flat);
            foreach (var s in scores)
                sum.addcmul_(s, s.mul(flat).sum(1, keepdim: true), 1.0 / scores.Length);
            return sum.view(output.shape);
        };

        Tensor Flat(Tensor f) => f.reshape(Likelihood.Terms(output), -1);

        Tensor[] Draw()
        {
            using var generator = batch.Draws(_seed, Device);
            return [.. Enumerable.Range(0, Samples).Select(_ => Flat(batch.OfCounted(batch.Draw(Kind, output, generator))))];
        }
    }
}
