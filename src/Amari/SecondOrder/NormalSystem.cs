using Amari.LeastSquares;

namespace Amari.SecondOrder;

/// <summary>Damped least squares by the normal equations: the Cholesky factor of J'J + λ D² : [d, d].</summary>
/// <param name="at">r and J.</param>
internal sealed class NormalSystem(Linearization at) : DampedSystem(at)
{
    private readonly Tensor _normal = at.Normal.ToDense();
    private Tensor? _squares; // of D
    private Tensor? _factor;

    public override LinearSolverKind Solver => LinearSolverKind.Normal;

    public override Tensor ColumnNorms => field ??= _normal.diagonal().clamp_min(0).sqrt_();

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

    public override Tensor Solve(Tensor u) => Right(u).unsqueeze(1).cholesky_solve(_factor!).squeeze(1).neg_();
}
