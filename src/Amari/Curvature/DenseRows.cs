namespace Amari.Curvature;

/// <summary>Columns of a Jacobian as a matrix.</summary>
/// <param name="matrix">J : [n K, columns]. Owned.</param>
/// <param name="offset">The first column.</param>
/// <param name="examples">n.</param>
internal sealed class DenseRows(Tensor matrix, long offset, long examples)
    : ParameterRows(offset, matrix.shape[1], examples, matrix.shape[0] / Math.Max(1, examples))
{
    private Tensor _matrix = matrix;

    public override long Bytes => _matrix.numel() * _matrix.ElementSize;

    public override long ElementSize => _matrix.ElementSize;

    protected override long ColumnUnit => 1;

    public override Tensor Apply(Tensor v) => _matrix.mv(v);

    public override Tensor ApplyTransposed(Tensor u)
    {
        using var transposed = _matrix.t();
        return transposed.mv(u);
    }

    public override Tensor Form(long example, long count, long column, long columns)
    {
        using var rows = _matrix.narrow(0, example * Outputs, count * Outputs);
        return rows.narrow(1, column, columns);
    }

    public override void Scale(double s)
    {
        using var before = _matrix; // may share memory
        _matrix = before.mul(s).DetachFromDisposeScope();
    }

    public override void Detach() => _matrix.DetachFromDisposeScope();

    public override void Dispose() => _matrix.Dispose();
}
