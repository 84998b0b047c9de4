using Amari.Solvers;

namespace Amari.Curvature;

/// <summary>A Jacobian J : [N, d] as parts that are never put together unless asked for: passes of examples, and for each the columns of
/// each parameter. Columns without a part are zero.</summary>
/// <remarks>Results are fresh tensors that the caller owns.</remarks>
internal sealed class CapturedJacobian : IDisposable
{
    private const long ChunkBytes = 32L << 20, // of J's rows that are formed at a time
        PanelNumbers = 1L << 18; // of a Gram matrix that are computed at a time, to stay in the cache

    /// <summary>Bytes that <see cref="Gram"/> needs besides its result, without an order of rows.</summary>
    public const long GramChunkBytes = 3 * ParameterRows.ChunkBytes;

    private readonly IReadOnlyList<JacobianPass> _passes;
    private readonly long[] _starts; // the first row of each pass
    private readonly ParameterLayout _layout;
    private readonly Tensor? _order, // row g of J is row order[g] of the passes one after another; null where that is g
        _inverse;

    /// <param name="layout">The columns.</param>
    /// <param name="passes">Owned.</param>
    public CapturedJacobian(ParameterLayout layout, IReadOnlyList<JacobianPass> passes)
    {
        (_layout, _passes) = (layout, passes);
        _starts = new long[passes.Count + 1];
        for (int i = 0; i < passes.Count; i++)
            _starts[i + 1] = _starts[i] + passes[i].Rows;
        long[] positions =
        [
            .. passes.SelectMany((p, i) => p.Positions ?? Enumerable.Range(0, (int)p.Rows).Select(row => _starts[i] + row)),
        ];
        if (!positions.Where((position, row) => position != row).Any())
            return;
        _inverse = tensor(positions, dtype: ScalarType.Int64, device: layout.Device).DetachFromDisposeScope();
        _order = _inverse.argsort().DetachFromDisposeScope();
    }

    /// <summary>N.</summary>
    public long Rows => _starts[^1];

    /// <summary>d.</summary>
    public long Columns => _layout.Dimension;

    /// <summary>Why the rows were computed one by one; null if they were captured.</summary>
    public string? Fallback { get; init; }

    /// <summary>Bytes held.</summary>
    public long Bytes => _passes.Sum(p => p.Parts.Sum(r => r.Bytes));

    /// <summary>J ← s J.</summary>
    public void Scale(double s)
    {
        using var off = no_grad();
        foreach (var rows in _passes.SelectMany(p => p.Parts))
            rows.Scale(s);
    }

    /// <summary>J v : [N], or [N, k] for [d, k].</summary>
    public Tensor Apply(Tensor v)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return Columnwise(v, Product).MoveToOuterDisposeScope();

        Tensor Product(Tensor v)
        {
            var sums = zeros(Rows, dtype: _layout.Type, device: _layout.Device);
            for (int i = 0; i < _passes.Count; i++)
            {
                var part = sums.narrow(0, _starts[i], _starts[i + 1] - _starts[i]);
                foreach (var rows in _passes[i].Parts)
                    part.add_(rows.Apply(v.narrow(0, rows.Offset, rows.Columns)));
            }
            return _order is null ? sums : sums.index_select(0, _order);
        }
    }

    /// <summary>J'u : [d], or [d, k] for [N, k].</summary>
    public Tensor ApplyTransposed(Tensor u)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return Columnwise(u, Product).MoveToOuterDisposeScope();

        Tensor Product(Tensor u)
        {
            var sums = zeros(Columns, dtype: _layout.Type, device: _layout.Device);
            var ordered = _inverse is null ? u : u.index_select(0, _inverse);
            for (int i = 0; i < _passes.Count; i++)
            {
                var part = ordered.narrow(0, _starts[i], _starts[i + 1] - _starts[i]);
                foreach (var rows in _passes[i].Parts)
                    sums.narrow(0, rows.Offset, rows.Columns).add_(rows.ApplyTransposed(part));
            }
            return sums;
        }
    }

    /// <summary>J : [N, d].</summary>
    public Tensor ToDense()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var j = zeros(Rows, Columns, dtype: _layout.Type, device: _layout.Device);
        for (int i = 0; i < _passes.Count; i++)
            foreach (var rows in _passes[i].Parts)
                rows.WriteTo(j.narrow(0, _starts[i], rows.Rows), 0, rows.Examples);
        return (_order is null ? j : j.index_select(0, _order)).MoveToOuterDisposeScope();
    }

    /// <summary>Bytes of the rows of J that <see cref="Normal"/> forms at a time.</summary>
    public long NormalChunkBytes => _passes.Count == 0 ? 0 : _passes.Max(p => NormalChunk(p) * p.Outputs * RowBytes);

    private long NormalChunk(JacobianPass pass) => Math.Min(pass.Examples, Math.Max(1, ChunkBytes / (pass.Outputs * RowBytes)));

    private long RowBytes => Columns * (_layout.Type == ScalarType.Float64 ? sizeof(double) : sizeof(float));

    /// <summary>J'J : [d, d], by symmetric products of a few rows of J at a time.</summary>
    public Tensor Normal()
    {
        var sum = zeros(Columns, Columns, dtype: _layout.Type, device: _layout.Device);
        ForRows(j => SymmetricProduct.AddTo(sum, j.t(), j));
        return sum;
    }

    /// <summary>The squares of the 2-norms of the columns of J : [d].</summary>
    public Tensor SquaredColumns()
    {
        var sum = zeros(Columns, dtype: _layout.Type, device: _layout.Device);
        ForRows(j => sum.add_(j.pow_(2).sum([0L])));
        return sum;
    }

    /// <summary>Forms a few rows of J at a time, in any order.</summary>
    private void ForRows(Action<Tensor> visit)
    {
        using var off = no_grad();
        foreach (var pass in _passes)
        {
            long examples = pass.Examples,
                chunk = NormalChunk(pass);
            for (long first = 0; first < examples; first += chunk)
            {
                using var inner = NewDisposeScope();
                long count = Math.Min(chunk, examples - first);
                var j = zeros(count * pass.Outputs, Columns, dtype: _layout.Type, device: _layout.Device);
                foreach (var rows in pass.Parts)
                    rows.WriteTo(j, first, count);
                visit(j);
            }
        }
    }

    /// <summary>J J' : [N, N], without forming J: each parameter adds its part by whichever takes fewer operations, products of its
    /// layer's inputs and gradients or a few columns of J at a time.</summary>
    public Tensor Gram()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var gram = zeros(Rows, Rows, dtype: _layout.Type, device: _layout.Device);
        for (int i = 0; i < _passes.Count; i++)
        {
            var panels = Panels(_passes[i]);
            for (int j = 0; j <= i; j++)
            {
                var region = gram.narrow(0, _starts[i], _starts[i + 1] - _starts[i]).narrow(1, _starts[j], _starts[j + 1] - _starts[j]);
                foreach (var rows in _passes[i].Parts)
                    if (_passes[j].Parts.FirstOrDefault(r => r.Offset == rows.Offset) is { } other)
                        rows.AddGram(other, region, panels);
            }
            foreach (var (first, count) in panels)
            {
                long row = _starts[i] + first * _passes[i].Outputs,
                    size = count * _passes[i].Outputs;
                if (row > 0)
                    gram.narrow(0, 0, row).narrow(1, row, size).copy_(gram.narrow(0, row, size).narrow(1, 0, row).t());
            }
        }
        return (_order is null ? gram : gram.index_select(0, _order).index_select(1, _order)).MoveToOuterDisposeScope();
    }

    private List<(long First, long Count)> Panels(JacobianPass rows)
    {
        const long MinRows = 64;
        long examples = Math.Max(1, Math.Max(MinRows, PanelNumbers / Math.Max(1, Rows)) / rows.Outputs);
        List<(long, long)> panels = [];
        for (long first = 0; first < rows.Examples; first += examples)
            panels.Add((first, Math.Min(examples, rows.Examples - first)));
        return panels;
    }

    private static Tensor Columnwise(Tensor x, Func<Tensor, Tensor> product)
    {
        if (x.dim() == 1)
            return product(x);
        List<Tensor> columns = [];
        for (long k = 0; k < x.shape[1]; k++)
        {
            using var scope = NewDisposeScope();
            columns.Add(product(x.select(1, k).contiguous()).MoveToOuterDisposeScope());
        }
        return stack(columns, 1);
    }

    public void Dispose()
    {
        foreach (var rows in _passes.SelectMany(p => p.Parts))
            rows.Dispose();
        _order?.Dispose();
        _inverse?.Dispose();
    }
}
