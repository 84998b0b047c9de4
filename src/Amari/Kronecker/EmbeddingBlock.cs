namespace Amari.Kronecker;

/// <summary>K-FAC block of an embedding, a linear layer of one-hot inputs: A is diagonal, the frequency of each row of the table.</summary>
/// <remarks><code>
/// x : [n, r..] of integers,  g : [n, r.., out],   V = ∂W' : [out, rows of the table]
/// A = diag(count(x) / (n r)) : [rows of the table],  G = Σ g g' / terms : [out, out]
/// </code>Every position counts by itself, whatever <see cref="WeightSharing"/> says, and its eigenvalues are not corrected.</remarks>
internal sealed class EmbeddingBlock(string name, Embedding layer) : KroneckerBlock(name, hasBias: false)
{
    public override string Kind => "K-FAC Embedding";

    protected override Parameter Weight => layer.get_parameter("weight")!; // layer.weight is a new object each time

    protected override Parameter? Bias => null;

    public override bool JoinsPositions(FisherSettings settings) => false;

    public override BlockSums Measure(Tensor x, Tensor g, Measurement what)
    {
        using var scope = NewDisposeScope();
        var rows = Outputs(g).flatten(0, 1).to_type(FactorType);
        var counts = what.First ? bincount(x.flatten(), null, Weight.shape[0]).to_type(FactorType) : null;
        var gram = what.ForwardOnly ? Identity(rows, x.numel()) : what.Gram(rows);
        return new([counts?.MoveToOuterDisposeScope(), gram.MoveToOuterDisposeScope()], counts is null ? 0 : x.numel());
    }

    protected override Tensor Inputs(Tensor x) => throw new NotSupportedException("One-hot rows are never formed.");

    protected override Tensor Outputs(Tensor g) => g.reshape(g.dim() == 1 ? 1 : g.shape[0], -1, g.shape[^1]);

    protected override Tensor Matrix(Tensor w, long[] batch) => w.reshape([.. batch, .. Weight.shape]).mT;

    protected override Tensor FromMatrix(Tensor m, long[] batch) => m.mT;
}
