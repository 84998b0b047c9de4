namespace Amari.Curvature;

/// <summary>Columns of a Jacobian of the weight of a layer z = W a + b, by the layer's inputs and the gradients at its outputs.</summary>
/// <remarks><code>
/// row (m, k) of J = Σ_c δ_mkc ⊗ a_mc                                  c: positions, calls of the layer, or components of a jet
/// J v             = Σ_c ⟨δ_mkc, V a_mc⟩                               v = vec(V), V : [out, in]
/// J'u             = Σ_mkc u_mk δ_mkc a_mc'
/// J J'            = Σ_cc' (δ_c δ_c'') ∘ (a_c a_c'')                   without J, or with a part of J at a time
/// </code></remarks>
/// <param name="a">[C, n, in]. Owned.</param>
/// <param name="delta">[C, n, K, out]. Owned.</param>
/// <param name="offset">The first column.</param>
internal sealed class OuterRows(Tensor a, Tensor delta, long offset)
    : ParameterRows(offset, a.shape[2] * delta.shape[3], a.shape[1], delta.shape[2])
{
    // A product of two numbers that is added to a third in memory takes as long as this many operations of a matrix product.
    private const long ElementwiseCost = 12,
        LongRow = 16, // inputs that elementwise products need to be fast
        SmallBlock = 512; // numbers of a row for which a matrix product costs more than elementwise products

    private readonly Tensor _a = a;
    private readonly long _components = a.shape[0],
        _in = a.shape[2],
        _out = delta.shape[3];
    private Tensor _delta = delta;

    public override long Bytes => (_a.numel() + _delta.numel()) * _a.ElementSize;

    public override long ElementSize => _a.ElementSize;

    protected override long ColumnUnit => _in;

    public override Tensor Apply(Tensor v)
    {
        using var scope = NewDisposeScope();
        var z = _a.view(-1, _in).mm(v.view(_out, _in).t());
        return z.view(_components, Examples, 1, _out).mul(_delta).sum([0L, 3L]).view(-1).MoveToOuterDisposeScope();
    }

    public override Tensor ApplyTransposed(Tensor u)
    {
        using var scope = NewDisposeScope();
        var weighted = _delta.mul(u.view(1, Examples, Outputs, 1));
        if (Outputs > 1)
            weighted = weighted.sum([2L]);
        return weighted.view(-1, _out).t().mm(_a.view(-1, _in)).view(-1).MoveToOuterDisposeScope();
    }

    public override Tensor Form(long example, long count, long column, long columns)
    {
        using var scope = NewDisposeScope();
        long outs = columns / _in;
        var x = _a.narrow(1, example, count);
        var g = _delta.narrow(1, example, count).narrow(3, column / _in, outs);
        Tensor part;
        if (_in >= LongRow && (_components == 1 || outs * _in <= SmallBlock))
        {
            part = Factor(g, 0).mul(Input(0));
            for (int c = 1; c < _components; c++)
                part.addcmul_(Factor(g, c), Input(c), 1);
        }
        else
            part = g.permute(1, 2, 3, 0).reshape(count, Outputs * outs, _components).bmm(x.permute(1, 0, 2));
        return part.reshape(count * Outputs, columns).MoveToOuterDisposeScope();

        Tensor Factor(Tensor g, int c) => g.select(0, c).unsqueeze(3);

        Tensor Input(int c) => x.select(0, c).view(count, 1, 1, _in);
    }

    public override void Scale(double s)
    {
        using var before = _delta; // may share memory with that of another layer
        _delta = before.mul(s).DetachFromDisposeScope();
    }

    public override void Detach()
    {
        _a.DetachFromDisposeScope();
        _delta.DetachFromDisposeScope();
    }

    public override void AddGram(ParameterRows other, Tensor region, IReadOnlyList<(long First, long Count)> panels)
    {
        if (other is OuterRows right && IsCheaper(right))
            AddByComponents(right, region, panels);
        else
            base.AddGram(other, region, panels);
    }

    /// <summary>Whether products of a's and δ's take fewer operations than those of J's columns.</summary>
    private bool IsCheaper(OuterRows other) =>
        _components * other._components * (2 * _out + 2 * _in / (Outputs * other.Outputs) + ElementwiseCost) < 2 * Columns;

    private void AddByComponents(OuterRows other, Tensor region, IReadOnlyList<(long First, long Count)> panels)
    {
        foreach (var (first, count) in panels)
        {
            using var scope = NewDisposeScope();
            long width = Width(other, first, count),
                examples = width / other.Outputs;
            var panel = region.narrow(0, first * Outputs, count * Outputs).narrow(1, 0, width);
            var (inputs, gradients) = (A(this, first, count), Delta(this, first, count));
            var (inputs2, gradients2) = (A(other, 0, examples), Delta(other, 0, examples));
            for (int c = 0; c < inputs.Length; c++)
            for (int c2 = 0; c2 < inputs2.Length; c2++)
            {
                using var inner = NewDisposeScope();
                var (x, g) = (inputs[c].mm(inputs2[c2].t()), gradients[c].mm(gradients2[c2].t()));
                if (Outputs * other.Outputs == 1)
                    panel.addcmul_(x, g, 1);
                else
                    panel.add_(
                        g.view(count, Outputs, examples, other.Outputs).mul_(x.view(count, 1, examples, 1)).view(count * Outputs, width)
                    );
            }
        }

        static Tensor[] A(OuterRows rows, long first, long count) => rows.Slices(rows._a, first, count, rows._in);

        static Tensor[] Delta(OuterRows rows, long first, long count) => rows.Slices(rows._delta, first, count, rows._out);
    }

    /// <summary>The components of some examples, each [count or count K, size].</summary>
    private Tensor[] Slices(Tensor t, long first, long count, long size) =>
        [.. Enumerable.Range(0, (int)_components).Select(c => t.select(0, c).narrow(0, first, count).reshape(-1, size))];

    public override void Dispose()
    {
        _a.Dispose();
        _delta.Dispose();
    }
}
