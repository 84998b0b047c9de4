using Amari.LeastSquares;

namespace Amari.SecondOrder;

/// <summary>Damped least squares without squaring the condition of J: J = Q R once, then [R; √λ D] = Q₂ R₂ for each λ, so that
/// v = -R₂⁻¹ Q₂' [Q'u; 0].</summary>
/// <param name="at">r and J.</param>
internal sealed class QrSystem(Linearization at) : DampedSystem(at)
{
    private readonly Tensor _jacobian = at.Jacobian();
    private Tensor? _q,
        _r,
        _d,
        _damped,
        _rotation;

    public override LinearSolverKind Solver => LinearSolverKind.Qr;

    public override Tensor ColumnNorms => field ??= linalg.vector_norm(_jacobian, 2, [0L]);

    public override Tensor Apply(Tensor v) => _jacobian.mv(v);

    protected override Tensor Transposed(Tensor u) => _jacobian.T.mv(u);

    public override void Scale(Tensor? scale)
    {
        _d = diag(scale ?? ones(At.Columns, dtype: _jacobian.dtype, device: _jacobian.device));
        (_q, _r) = linalg.qr(_jacobian);
    }

    public override bool Factorise(double damping)
    {
        _rotation?.Dispose();
        _damped?.Dispose();
        using var stacked = cat([_r!, _d!.mul(Math.Sqrt(damping))]);
        (_rotation, _damped) = linalg.qr(stacked);
        using var diagonal = _damped.diagonal().abs();
        return diagonal.min().ToDouble() > 0 && double.IsFinite(diagonal.sum().ToDouble());
    }

    public override Tensor Solve(Tensor u)
    {
        var right = _rotation!.narrow(0, 0, _r!.shape[0]).T.mv(_q!.T.mv(u)).unsqueeze(1);
        return linalg.solve_triangular(_damped!, right, upper: true).squeeze(1).neg_();
    }
}
