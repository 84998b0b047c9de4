using Amari.Distributed;
using Amari.LeastSquares;
using Amari.Solvers;

namespace Amari.SecondOrder;

/// <summary>The damped least-squares problems at one linearization r + J v: v = argmin |J v + u|² + λ |D v|² = -(J'J + λ D²)⁻¹ J'u, for
/// several λ and u.</summary>
/// <remarks>First <see cref="Scale"/>, then <see cref="Factorise"/>, then <see cref="Solve"/>. Tensors that it makes belong to the scope
/// in force.</remarks>
internal abstract class DampedSystem(Linearization at)
{
    /// <summary>r and J.</summary>
    protected Linearization At { get; } = at;

    /// <summary>How it solves them.</summary>
    public abstract LinearSolverKind Solver { get; }

    /// <summary>g = J'r : [d].</summary>
    public Tensor Gradient => field ??= Transposed(At.R);

    /// <summary>The 2-norms of the columns of J : [d].</summary>
    public abstract Tensor ColumnNorms { get; }

    /// <summary>J v.</summary>
    public virtual Tensor Apply(Tensor v) => At.Apply(v);

    /// <summary>J'u.</summary>
    protected virtual Tensor Transposed(Tensor u) => At.ApplyTransposed(u);

    /// <summary>J'u, which is known where u is r.</summary>
    protected Tensor Right(Tensor u) => ReferenceEquals(u, At.R) ? Gradient : Transposed(u);

    /// <summary>Takes D.</summary>
    /// <param name="scale">Its diagonal [d], > 0; null for the identity.</param>
    public abstract void Scale(Tensor? scale);

    /// <summary>Takes λ.</summary>
    /// <returns>Whether the matrix is positive definite beyond rounding; if not, raise λ.</returns>
    public abstract bool Factorise(double damping);

    /// <summary>v : [d]. It is not finite where it could not be computed.</summary>
    /// <param name="u">[n].</param>
    public abstract Tensor Solve(Tensor u);

    /// <summary>Products of the inner iteration so far; null without one.</summary>
    public virtual int? Iterations => null;

    /// <summary>Why the inner iteration stopped last; null without one.</summary>
    public virtual CgStatus? Status => null;

    /// <summary>The lower Cholesky factor of a matrix; null where it is not positive definite beyond rounding, or not finite.</summary>
    protected static Tensor? Cholesky(Tensor matrix)
    {
        var (l, info) = linalg.cholesky_ex(matrix);
        return info.ToInt32() == 0 && double.IsFinite(l.diagonal().sum().ToDouble()) ? l : null;
    }

    /// <summary>The system that a solver of the options makes of a linearization.</summary>
    /// <param name="at">r and J. Not owned.</param>
    /// <param name="ranks">The ranks over which rows are divided.</param>
    /// <param name="solver">As asked for.</param>
    /// <param name="scaled">Whether D is not the identity.</param>
    /// <exception cref="ArgumentException">The matrices of the solver that was asked for are larger than its limit.</exception>
    public static DampedSystem Of(Linearization at, Communicator ranks, LinearSolver solver, bool scaled)
    {
        double n = at.Rows,
            d = at.Columns,
            size = at.R.ElementSize,
            gram = scaled ? 2.0 * at.JacobianBytes + 3 * n * n * size : at.GramBytes + 2 * n * n * size,
            normal = at.NormalBytes + 2 * d * d * size;
        if (solver is LinearSolver.Automatic { MaxDenseBytes: var most })
            return ranks.Size == 1 && n < d && gram <= most ? Gram()
                : ranks.Sum(normal <= most ? 0 : 1)[0] == 0 ? new NormalSystem(at)
                : Iterative();
        var kind = solver.Kind!.Value;
        RequireBytes(
            kind switch
            {
                LinearSolverKind.Gram => gram,
                LinearSolverKind.Normal => normal,
                LinearSolverKind.Qr => 2.0 * at.JacobianBytes + 6 * d * d * size,
                _ => 0,
            }
        );
        return kind switch
        {
            LinearSolverKind.Gram => Gram(),
            LinearSolverKind.Normal => new NormalSystem(at),
            LinearSolverKind.Qr => new QrSystem(at),
            _ => Iterative(),
        };

        GramSystem Gram() => new(at, scaled ? at.Jacobian() : null);

        ConjugateGradientSystem Iterative() => new(at, solver.Iteration!.Stopping);

        void RequireBytes(double bytes)
        {
            const double Gigabyte = 1 << 30;
            if (solver is LinearSolver.Dense { MaxDenseBytes: var limit } && bytes > limit)
                throw new ArgumentException(
                    string.Create(
                        System.Globalization.CultureInfo.InvariantCulture,
                        $"The solver {kind} forms dense matrices: {n:N0} residuals of {d:N0} parameters need {bytes / Gigabyte:F1} GiB, "
                            + $"above the limit of {limit / Gigabyte:F1} GiB (MaxDenseBytes); use "
                            + $"{nameof(LinearSolver)}.{nameof(LinearSolver.ConjugateGradient)}, which forms none."
                    )
                );
        }
    }
}
