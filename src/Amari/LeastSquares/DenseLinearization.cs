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

    public override Tensor Apply(Tensor v) => Product(_j, v);

    public override Tensor ApplyTransposed(Tensor u)
    {
        using var transposed = _j.t();
        return Product(transposed, u);
    }

    public override Tensor Jacobian() => _j.clone();

    public override Tensor ColumnNorms() => linalg.vector_norm(_j, 2, [0L]);

    public override LinearOperator Normal => LinearOperator.FromFunction(Columns, _j.dtype, v => ApplyTransposed(Apply(v)));

    public override LinearOperator Gram => LinearOperator.FromFunction(Rows, _j.dtype, u => Apply(ApplyTransposed(u)));

    /// <summary>The product of a matrix with a vector, or with several columns.</summary>
    internal static Tensor Product(Tensor matrix, Tensor v) => v.dim() == 1 ? matrix.mv(v) : matrix.mm(v);

    protected override void Dispose(bool disposing)
    {
        _j.Dispose();
        R.Dispose();
        base.Dispose(disposing);
    }
}
