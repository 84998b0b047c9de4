using Amari.LeastSquares;
using Amari.Solvers;

namespace Amari.SecondOrder;

/// <summary>Damped least squares by conjugate gradient on J'J + λ D², with the preconditioner diag(J'J) + λ D². No matrix is
/// formed.</summary>
/// <param name="at">r and J.</param>
/// <param name="options">When it stops.</param>
internal sealed class ConjugateGradientSystem(Linearization at, CgOptions options) : DampedSystem(at)
{
    private Tensor? _squares; // of D : [d, 1]
    private Damped? _damped;
    private Jacobi? _preconditioner;
    private int _iterations;
    private CgStatus? _status;

    public override LinearSolverKind Solver => LinearSolverKind.ConjugateGradient;

    public override Tensor ColumnNorms => field ??= At.ColumnNorms();

    public override int? Iterations => _iterations;

    public override CgStatus? Status => _status;

    public override void Scale(Tensor? scale) => _squares = (scale?.square() ?? ones_like(ColumnNorms)).unsqueeze(1);

    public override bool Factorise(double damping)
    {
        _damped = new(At.Normal, _squares!, damping);
        _preconditioner = new(At.Normal, ColumnNorms.square().unsqueeze(1).add_(_squares!, alpha: damping));
        return true;
    }

    public override Tensor Solve(Tensor u)
    {
        var result = ConjugateGradient.Solve(_damped!, Right(u).neg(), options, _preconditioner);
        _iterations += result.Iterations;
        _status = result.Status;
        return result.Status == CgStatus.NotFinite ? result.Solution.fill_(double.NaN) : result.Solution;
    }

    /// <summary>C + λ diag(s).</summary>
    private sealed class Damped(LinearOperator c, Tensor s, double lambda) : LinearOperator
    {
        public override long Dimension => c.Dimension;
        public override ScalarType Type => c.Type;
        public override Device Device => c.Device;

        protected override Tensor Product(Tensor v) => c.Apply(v).addcmul_(v, s, lambda);
    }

    /// <summary>diag(m)⁻¹.</summary>
    private sealed class Jacobi(LinearOperator c, Tensor m) : LinearOperator
    {
        public override long Dimension => c.Dimension;
        public override ScalarType Type => c.Type;
        public override Device Device => c.Device;

        protected override Tensor Product(Tensor v) => v.div(m);
    }
}
