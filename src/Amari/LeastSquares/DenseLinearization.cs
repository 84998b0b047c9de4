using Amari.Solvers;

namespace Amari.LeastSquares;

/// <summary>A linearization by its matrix J.</summary>
/// <param name="r">[n]; owned.</param>
/// <param name="j">[n, d]; owned.</param>
internal sealed class DenseLinearization(Tensor r, Tensor j) : Linearization
{
    private readonly Tensor _j = j.DetachFromDisposeScope();

    public override Tensor R { get; } = r.DetachFromDisposeScope();

    public override long Columns => _j.shape[1];

    public override Tensor Apply(Tensor v) => _j.matmul(v);

    public override Tensor ApplyTransposed(Tensor u) => _j.mT.matmul(u);

    public override Tensor Jacobian() => _j.clone();

    public override Tensor ColumnNorms() => linalg.vector_norm(_j, 2, [0L]);

    public override LinearOperator Normal => LinearOperator.FromFunction(Columns, _j.dtype, v => _j.mT.matmul(_j.matmul(v)));

    public override LinearOperator Gram => LinearOperator.FromFunction(Rows, _j.dtype, u => _j.matmul(_j.mT.matmul(u)));

    protected override void Dispose(bool disposing)
    {
        _j.Dispose();
        R.Dispose();
        base.Dispose(disposing);
    }
}
