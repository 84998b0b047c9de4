namespace Amari.Curvature;

/// <summary>The Fisher information of a model, never formed: E[ J' B J ] where B is, for each term, Λ (exact), the mean of s s' over draws of
/// the model (Monte-Carlo, s the score of a draw), or s s' of the data's own targets (empirical).</summary>
/// <remarks>The same draws are made in every product: the operator is a fixed matrix for a fixed seed.</remarks>
public sealed class Fisher : GaussNewton
{
    private readonly long _seed;

    /// <param name="objective">With a likelihood.</param>
    /// <param name="kind">Which expectation over targets.</param>
    /// <param name="samples">Draws for Monte-Carlo, ≥ 1.</param>
    /// <param name="seed">Of the draws.</param>
    public Fisher(Objective objective, FisherKind kind = FisherKind.Exact, int samples = 1, long seed = 0) : base(objective)
    {
        ArgumentNullException.ThrowIfNull(objective);
        Kind = Require.Defined(kind);
        Samples = Require.AtLeast(1, samples);
        _seed = seed;
    }

    /// <summary>Which expectation over targets.</summary>
    public FisherKind Kind { get; }

    /// <summary>Draws per term for <see cref="FisherKind.MonteCarlo"/>.</summary>
    public int Samples { get; }

    /// <inheritdoc/>
    protected override Tensor Product(Tensor v)
    {
        using var generator = new Generator((ulong)_seed, Device);
        return Product(v, (piece, output) => Metric(piece, output, generator));
    }

    private Func<Tensor, Tensor> Metric(Objective.Piece piece, Tensor output, Generator generator)
    {
        var likelihood = Objective.Likelihood!;
        if (Kind == FisherKind.Exact) return t => likelihood.FisherProduct(output, t);
        int count = Kind == FisherKind.Empirical ? 1 : Samples;
        var scores = Enumerable.Range(0, count).Select(_ =>
            Flat(likelihood.Score(output, Kind == FisherKind.Empirical ? piece.Target : likelihood.Sample(output, generator)))).ToList();
        return t =>
        {
            var flat = Flat(t);
            var sum = zeros_like(flat);
            foreach (var s in scores) sum.add_(s.mul(s.mul(flat).sum(1, keepdim: true)), alpha: 1.0 / count);
            return sum.view(output.shape);
        };

        Tensor Flat(Tensor f) => f.reshape(likelihood.Terms(output), -1);
    }
}
