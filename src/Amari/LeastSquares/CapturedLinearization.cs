using Amari.Curvature;
using Amari.Distributed;
using Amari.Solvers;

namespace Amari.LeastSquares;

/// <summary>A linearization by captured layers: products stream over their inputs and output gradients, and J is formed only if asked
/// for.</summary>
/// <remarks>With several ranks, rows are divided over them: R, J v and J are of this rank's rows, J'u and J'J are summed over ranks, so
/// that every rank has the same. J J' would need the rows of others; it is refused there, and J'J takes its place.</remarks>
/// <param name="r">[n]. Owned.</param>
/// <param name="jacobian">J. Owned.</param>
/// <param name="layout">The columns.</param>
/// <param name="ranks">The ranks over which rows are divided.</param>
internal sealed class CapturedLinearization(Tensor r, CapturedJacobian jacobian, ParameterLayout layout, Communicator ranks) : Linearization
{
    public override Tensor R => r;

    public override long Columns => jacobian.Columns;

    public override Tensor Apply(Tensor v) => jacobian.Apply(Checked(v, Columns, nameof(v)));

    public override Tensor ApplyTransposed(Tensor u) => OverRanks(jacobian.ApplyTransposed(Checked(u, Rows, nameof(u))));

    public override Tensor Jacobian() => jacobian.ToDense();

    public override Tensor ColumnNorms()
    {
        using var off = no_grad();
        return OverRanks(jacobian.SquaredColumns()).sqrt_();
    }

    public override LinearOperator Normal => new NormalOperator(this);

    public override LinearOperator Gram =>
        ranks.Size == 1
            ? new GramOperator(this)
            : throw new NotSupportedException("Rows of J are divided over ranks, and J J' needs all of them: use Normal, which is J'J.");

    public override long NormalBytes => Columns * Columns * R.ElementSize + jacobian.NormalChunkBytes;

    public override long GramBytes => ranks.Size == 1 ? Rows * Rows * R.ElementSize + CapturedJacobian.GramChunkBytes : long.MaxValue;

    public override long HeldBytes => jacobian.Bytes;

    public override string? Fallback => jacobian.Fallback;

    private Tensor OverRanks(Tensor sum)
    {
        if (ranks.Size > 1)
            ranks.AllReduce(sum);
        return sum;
    }

    private Tensor Checked(Tensor x, long size, string name)
    {
        ArgumentNullException.ThrowIfNull(x, name);
        return x.dim() is 1 or 2 && x.shape[0] == size && x.dtype == layout.Type
            ? x
            : throw new ArgumentException(
                $"{name} is {x.dtype} [{string.Join(", ", x.shape)}]; it must be {layout.Type} [{size}] or [{size}, k].",
                name
            );
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            r.Dispose();
            jacobian.Dispose();
        }
        base.Dispose(disposing);
    }

    private sealed class NormalOperator(CapturedLinearization of) : LinearOperator
    {
        public override long Dimension => of.Columns;
        public override ScalarType Type => of.R.dtype;
        public override Device Device => of.R.device;

        public override Tensor ToDense() => of.OverRanks(of.Jac.Normal());

        protected override Tensor Product(Tensor v) => of.ApplyTransposed(of.Apply(v));
    }

    private sealed class GramOperator(CapturedLinearization of) : LinearOperator
    {
        public override long Dimension => of.Rows;
        public override ScalarType Type => of.R.dtype;
        public override Device Device => of.R.device;

        public override Tensor ToDense() => of.Jac.Gram();

        protected override Tensor Product(Tensor v) => of.Apply(of.ApplyTransposed(v));
    }

    private CapturedJacobian Jac => jacobian;
}
