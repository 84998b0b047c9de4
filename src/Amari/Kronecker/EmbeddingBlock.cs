using Amari.Native;

namespace Amari.Kronecker;

/// <summary>K-FAC block of an embedding, a linear layer of one-hot inputs: A is diagonal, the frequency of each row of the table.</summary>
/// <remarks><code>
/// x : [n, r..] of integers,  g : [n, r.., out],   V = ∂W' : [out, rows of the table]
/// A = diag(count(x) / (n r)) : [rows of the table],  G = Σ g g' / terms : [out, out]
/// </code>Every position counts by itself, whatever <see cref="WeightSharing"/> says, and its eigenvalues are not corrected. Positions of
/// the padding, whose row has no gradient, do not count.</remarks>
internal sealed class EmbeddingBlock(string name, Embedding layer) : KroneckerBlock(name, hasBias: false)
{
    private bool _isObserved;
    private long? _padding;

    public override string Kind => "K-FAC Embedding";

    protected override Parameter Weight => layer.get_parameter("weight")!; // layer.weight is a new object each time

    protected override Parameter? Bias => null;

    public override bool JoinsPositions(FisherSettings settings) => false;

    /// <summary>0, 1, .., r - 1.</summary>
    public override bool IsOfPositions(Tensor x) =>
        x.dim() == 1 && x.shape[0] > 1 && x.eq(arange(x.shape[0], dtype: x.dtype, device: x.device)).all().ToBoolean();

    /// <summary>Finds the row of the padding, which the layer does not show: the one without a gradient.</summary>
    public override void Observe()
    {
        if (_isObserved)
            return;
        _isObserved = true;
        using var scope = NewDisposeScope();
        var weight = Weight;
        var before = weight.detach().clone();
        var every = layer.forward(arange(weight.shape[0], device: weight.device)); // without hooks
        var gradient = ReverseMode.Derivative([every.sum()], [weight])[0]!;
        var none = (gradient.is_sparse ? gradient.to_dense() : gradient).select(1, 0).eq(0).nonzero();
        if (none.shape[0] == 1)
            _padding = none[0, 0].ToInt64();
        using (no_grad())
            if (!weight.equal(before).all().ToBoolean())
                weight.copy_(before); // of max_norm, which shortens rows that are read
    }

    public override BlockSums Measure(Tensor x, Tensor g, Measurement what)
    {
        using var scope = NewDisposeScope();
        var (ids, rows) = Counted(x, g);
        var counts = what.First ? bincount(ids, null, Weight.shape[0]).to_type(FactorType) : null;
        var gram = what.ForwardOnly ? Identity(rows, ids.numel()) : what.Gram(rows);
        return new([counts?.MoveToOuterDisposeScope(), gram.MoveToOuterDisposeScope()], counts is null ? 0 : ids.numel());
    }

    public override (Tensor V, double Size) Gradient(Tensor x, Tensor g)
    {
        var (ids, rows) = Counted(x, g);
        Tensor Sum(Tensor t) => zeros([Weight.shape[0], t.shape[1]], dtype: t.dtype, device: t.device).index_add_(0, ids, t, 1);
        return (Sum(rows).mT, Sum(rows.abs()).norm().ToDouble());
    }

    /// <summary>The rows of the table that are used, [positions], and the gradients there.</summary>
    private (Tensor Ids, Tensor Gradients) Counted(Tensor x, Tensor g)
    {
        var (ids, rows) = (x.flatten().to_type(ScalarType.Int64), Outputs(g).flatten(0, 1).to_type(FactorType));
        if (_padding is not { } padding)
            return (ids, rows);
        var kept = ids.ne(padding).nonzero().flatten();
        return (ids.index_select(0, kept), rows.index_select(0, kept));
    }

    protected override Tensor Inputs(Tensor x) => throw new NotSupportedException("One-hot rows are never formed.");

    protected override Tensor Outputs(Tensor g) => g.reshape(g.dim() == 1 ? 1 : g.shape[0], -1, g.shape[^1]);

    protected override Tensor Matrix(Tensor w, long[] batch) => w.reshape([.. batch, .. Weight.shape]).mT;

    protected override Tensor FromMatrix(Tensor m, long[] batch) => m.mT;
}
