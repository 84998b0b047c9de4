using Amari.LeastSquares;
using Amari.Solvers;

namespace Amari.SecondOrder;

/// <summary>Damped least squares with fewer residuals than parameters, by the Gram matrix of the scaled Jacobian K = J D⁻² J' : [n, n]:
/// v = -D⁻² J' (K + λ I)⁻¹ u.</summary>
/// <param name="at">r and J.</param>
/// <param name="jacobian">J, where there is a scaling D; without one it is not formed.</param>
internal sealed class GramSystem(Linearization at, Tensor? jacobian) : DampedSystem(at)
{
    private Tensor? _scale;
    private Tensor? _scaled; // J D⁻¹
    private Tensor? _gram;
    private Tensor? _factor;

    public override LinearSolverKind Solver => LinearSolverKind.Gram;

    public override Tensor ColumnNorms => field ??= jacobian is null ? At.ColumnNorms() : linalg.vector_norm(jacobian, 2, [0L]);

    public override Tensor Apply(Tensor v) => jacobian?.mv(v) ?? base.Apply(v);

    protected override Tensor Transposed(Tensor u) => jacobian?.T.mv(u) ?? base.Transposed(u);

    public override void Scale(Tensor? scale)
    {
        _scale = scale;
        _scaled = scale is null ? jacobian : jacobian!.div(scale);
        _gram = _scaled is null ? At.Gram.ToDense() : SymmetricProduct.Of(_scaled, _scaled.T);
    }

    public override bool Factorise(double damping)
    {
        _factor?.Dispose();
        using var damped = _gram!.clone();
        damped.diagonal().add_(damping);
        _factor = Cholesky(damped);
        return _factor is not null;
    }

    public override Tensor Solve(Tensor u)
    {
        var y = u.unsqueeze(1).cholesky_solve(_factor!).squeeze(1);
        var v = _scaled is null ? base.Transposed(y) : _scaled.T.mv(y);
        if (_scale is not null)
            v.div_(_scale);
        return v.neg_();
    }
}
