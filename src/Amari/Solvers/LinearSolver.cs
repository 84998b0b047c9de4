using System.Text.Json.Serialization;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>How the damped linear system of a step is solved, with the settings of each way: (J'J + λ D²) v = -J'r of n residuals and d
/// parameters, or (F + λ I) v = -g with the Fisher F = J'J, whose J has a row for each example and output.</summary>
[
    JsonDerivedType(typeof(Automatic), nameof(Automatic)),
    JsonDerivedType(typeof(Normal), nameof(Normal)),
    JsonDerivedType(typeof(Gram), nameof(Gram)),
    JsonDerivedType(typeof(Qr), nameof(Qr)),
    JsonDerivedType(typeof(ConjugateGradient), nameof(ConjugateGradient))
]
public abstract record LinearSolver
{
    private LinearSolver() { }

    /// <summary>The only kind that it can be; null for <see cref="Automatic"/>.</summary>
    internal virtual LinearSolverKind? Kind => null;

    /// <summary>One that may form dense matrices.</summary>
    public abstract record Dense : LinearSolver
    {
        private protected Dense() { }

        /// <summary>Upper bound of the bytes of a step's dense matrices, > 0.</summary>
        public long MaxDenseBytes
        {
            get;
            init => field = Require.AtLeast(1L, value);
        } = 1L << 30;
    }

    /// <summary>The first of these that applies. <see cref="Gram"/> if n &lt; d in one process and its matrices fit into
    /// <see cref="Dense.MaxDenseBytes"/>: 3n² numbers, and 2nd more with a scaling D. <see cref="Normal"/> if its matrices fit: 3d² numbers
    /// and what is needed to make J'J; for a Fisher also only if d is at most <see cref="ConjugateGradient.MaxIterations"/>, because its
    /// matrix takes d products. Otherwise <see cref="ConjugateGradient"/>.</summary>
    public sealed record Automatic : Dense
    {
        /// <summary>Conjugate gradient where it is taken.</summary>
        public ConjugateGradient Otherwise
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(value));
        } = new();
    }

    /// <summary>The matrix J'J : [d, d] and Cholesky. That of a Fisher takes d products.</summary>
    public sealed record Normal : Dense
    {
        internal override LinearSolverKind? Kind => LinearSolverKind.Normal;
    }

    /// <summary>The matrix J D⁻² J' : [n, n] and Cholesky: v = -D⁻² J' (J D⁻² J' + λ)⁻¹ r. Examples must be independent of each other (no
    /// batch normalisation). One process only for least squares.</summary>
    public sealed record Gram : Dense
    {
        internal override LinearSolverKind? Kind => LinearSolverKind.Gram;
    }

    /// <summary>QR of J, then of [R; √λ D]: the condition of J and not its square; two to four times the time of Normal. Least squares in
    /// one process only.</summary>
    public sealed record Qr : Dense
    {
        internal override LinearSolverKind? Kind => LinearSolverKind.Qr;
    }

    /// <summary>Products with J and J' only; in least squares preconditioned by diag(J'J) + λ D².</summary>
    public sealed record ConjugateGradient : LinearSolver
    {
        /// <summary>Maximum number of iterations, ≥ 1.</summary>
        public int MaxIterations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 250;

        /// <summary>Relative residual at which it stops, > 0.</summary>
        public double Tolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-6;

        internal override LinearSolverKind? Kind => LinearSolverKind.ConjugateGradient;

        internal CgOptions Stopping => new() { MaxIterations = MaxIterations, Tolerance = Tolerance };
    }

    /// <summary>A way with its defaults.</summary>
    public static LinearSolver Of(LinearSolverKind kind) =>
        Require.Defined(kind) switch
        {
            LinearSolverKind.Normal => new Normal(),
            LinearSolverKind.Gram => new Gram(),
            LinearSolverKind.Qr => new Qr(),
            _ => new ConjugateGradient(),
        };

    /// <summary>Conjugate gradient, if it is or may be taken.</summary>
    internal ConjugateGradient? Iteration => this as ConjugateGradient ?? (this as Automatic)?.Otherwise;
}
