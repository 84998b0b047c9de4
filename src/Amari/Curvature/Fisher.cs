using Amari.Kernels;
using Amari.Likelihoods;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>The Fisher information of a model, E[ J' B J ], without forming the matrix. For each term, B is Λ (exact), the mean of s s'
/// over draws (Monte Carlo: s is the score of a label drawn from the model; curvature propagation: s = Λ^½ ξ with random signs ξ), or s s'
/// of the data's targets (empirical).</summary>
/// <remarks>Every product makes the same draws: the operator is a fixed matrix for a fixed seed.</remarks>
/// <example><code>
/// using Amari.Curvature;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var objective = new Objective(model, new Categorical(), [(x, y)]);
/// using var exact = new Fisher(objective).ToDense();
/// using var empirical = new Fisher(objective, FisherKind.Empirical).ToDense();
/// Console.WriteLine((exact - empirical).norm().ToDouble() / exact.norm().ToDouble());
/// </code></example>
public sealed class Fisher : GaussNewton
{
    private readonly long _seed;

    /// <param name="objective">An objective with a likelihood.</param>
    /// <param name="kind">The expectation over targets.</param>
    /// <param name="samples">Draws per term, ≥ 1, for the kinds that draw.</param>
    /// <param name="seed">Seed of the draws.</param>
    /// <exception cref="ArgumentException">The objective is a plain function, which has no output.</exception>
    public Fisher(Objective objective, FisherKind kind = FisherKind.Exact, int samples = 1, long seed = 0)
        : base(objective)
    {
        Kind = FisherKinds.OfOutputs(kind);
        Samples = Require.AtLeast(1, samples);
        _seed = seed;
    }

    /// <summary>The expectation over targets.</summary>
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
