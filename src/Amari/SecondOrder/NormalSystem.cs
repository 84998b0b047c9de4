using Amari.LeastSquares;
using Amari.Solvers;

namespace Amari.SecondOrder;

/// <summary>Damped least squares by the normal equations: the Cholesky factor of J'J + λ D² : [d, d].</summary>
/// <param name="at">r and J.</param>
/// <param name="jacobian">J; null where it is too large to form.</param>
internal sealed class NormalSystem(Linearization at, Tensor? jacobian) : DampedSystem(at)
{
    private readonly Tensor _normal = jacobian is null ? at.Normal.ToDense() : SymmetricProduct.Of(jacobian.T, jacobian);
    private Tensor? _squares; // of D
    private Tensor? _factor;

    public override LeastSquaresSolver Solver => LeastSquaresSolver.Normal;

    public override Tensor ColumnNorms => field ??= _normal.diagonal().clamp_min(0).sqrt_();

    public override Tensor Apply(Tensor v) => jacobian?.mv(v) ?? base.Apply(v);

    protected override Tensor Transposed(Tensor u) => jacobian?.T.mv(u) ?? base.Transposed(u);

    public override void Scale(Tensor? scale) => _squares = scale?.square();

    public override bool Factorise(double damping)
    {
        _factor?.Dispose();
        using var damped = _normal.clone();
        if (_squares is null)
            damped.diagonal().add_(damping);
        else
            damped.diagonal().add_(_squares, alpha: damping);
        _factor = Cholesky(damped);
        return _factor is not null;
    }

    public override Tensor Solve(Tensor u) => Transposed(u).unsqueeze(1).cholesky_solve(_factor!).squeeze(1).neg_();
}
