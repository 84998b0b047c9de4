using Amari.Curvature;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Solvers;

namespace Amari.Tests.SecondOrder;

/// <summary>Residuals given as a function of one parameter vector, with a dense Jacobian by one backward pass for each row.</summary>
internal sealed class FunctionResiduals : Residuals
{
    private readonly Func<Tensor, Tensor> _residuals;

    public FunctionResiduals(Func<Tensor, Tensor> residuals, params double[] start)
        : this(residuals, Functions.At(start)) { }

    public FunctionResiduals(Func<Tensor, Tensor> residuals, Parameter w) => (_residuals, W, Parameters) = (residuals, w, new([("w", w)]));

    public Parameter W { get; }

    public double[] Position => Functions.Values(W);

    public int Linearizations { get; private set; }

    /// <summary>A factor on J, or one on each row [n, 1], which makes it wrong.</summary>
    public Tensor JacobianFactor { get; init; } = 1;

    public override ParameterLayout Parameters { get; }

    public override Tensor Values()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        return _residuals(W).MoveToOuterDisposeScope();
    }

    public override Linearization Linearize()
    {
        Linearizations++;
        using var scope = NewDisposeScope();
        using var on = enable_grad();
        var r = _residuals(W);
        long n = r.shape[0];
        var rows = r.requires_grad
            ? [.. Enumerable.Range(0, (int)n).Select(i => ReverseMode.Derivative([r[i]], [W], again: true)[0] ?? zeros_like(W))]
            : Enumerable.Repeat(zeros_like(W), (int)n).ToArray();
        var (values, jacobian) = (r.detach().clone(), stack(rows).detach().mul(JacobianFactor));
        return new Dense(values.DetachFromDisposeScope(), jacobian.DetachFromDisposeScope());
    }

    internal sealed class Dense(Tensor r, Tensor jacobian) : Linearization
    {
        public override Tensor R => r;

        public override long Columns => jacobian.shape[1];

        public override Tensor Apply(Tensor v) => jacobian.matmul(v);

        public override Tensor ApplyTransposed(Tensor u) => jacobian.T.matmul(u);

        public override Tensor Jacobian() => jacobian.clone();

        public override LinearOperator Normal => LinearOperator.FromFunction(Columns, r.dtype, v => jacobian.T.mm(jacobian.mm(v)));

        public override LinearOperator Gram => LinearOperator.FromFunction(Rows, r.dtype, u => jacobian.mm(jacobian.T.mm(u)));

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                r.Dispose();
                jacobian.Dispose();
            }
            base.Dispose(disposing);
        }
    }
}
