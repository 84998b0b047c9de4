using Amari.Curvature;
using Amari.Serialization;
using Amari.Solvers;
using Amari.Tests.Curvature;

namespace Amari.Tests.Solvers;

/// <summary>Inverse operators against dense solves, and what they say of themselves.</summary>
public sealed class InverseOperatorTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>A symmetric matrix with given eigenvalues.</summary>
    private static Tensor Matrix(params double[] eigenvalues)
    {
        manual_seed(6);
        var (q, _) = linalg.qr(randn(eigenvalues.Length, eigenvalues.Length, dtype: ScalarType.Float64));
        return q.mm(tensor(eigenvalues).diag()).mm(q.T);
    }

    private static void HoldsSolution(InverseOperator inverse, Tensor matrix, double tolerance, params InverseStatus[] status)
    {
        foreach (
            var b in (Tensor[])[randn(matrix.shape[0], dtype: ScalarType.Float64), randn(matrix.shape[0], 3, dtype: ScalarType.Float64)]
        )
        {
            var x = inverse.Apply(b);
            Assert.Equal(b.shape, x.shape);
            Assert.True(DenseCurvature.RelativeError(x, linalg.solve(matrix, b.dim() == 1 ? b.unsqueeze(1) : b).view(b.shape)) < tolerance);
            var report = inverse.LastReport!;
            Assert.Contains(report.Status, status);
            double actual =
                b.dim() == 1 ? DenseCurvature.RelativeError(matrix.mv(x), b) : ((matrix.mm(x) - b).norm(0) / b.norm(0)).max().ToDouble();
            Assert.Equal(actual, report.RelativeResidual!.Value, 1e-9);
        }
    }

    [Fact]
    public void Every_inverse_solves_a_damped_curvature()
    {
        var objective = CurvatureCases.Make("mlp").Objective();
        var c = new GaussNewton(objective).Damped(0.1);
        var dense = c.ToDense();
        double largest = linalg.eigvalsh(dense).max().ToDouble();
        using var cholesky = new CholeskyInverse(c);
        HoldsSolution(cholesky, dense, 1e-10, InverseStatus.Solved);
        Assert.Equal(0, cholesky.LastReport!.Iterations);
        var cg = new CgInverse(c, new() { Tolerance = 1e-12 });
        HoldsSolution(cg, dense, 1e-10, InverseStatus.Solved);
        Assert.InRange(cg.LastReport!.Iterations, 5, dense.shape[0] + 10);
        var neumann = new NeumannInverse(
            c,
            new()
            {
                Scale = 1 / largest,
                MaxIterations = 2000,
                Tolerance = 1e-12,
            }
        );
        HoldsSolution(neumann, dense, 1e-10, InverseStatus.Solved);
        Assert.InRange(neumann.LastReport!.Iterations, 20, 2000);
    }

    [Fact]
    public void K_FAC_as_a_preconditioner_lowers_the_iterations_of_conjugate_gradient()
    {
        // badly scaled inputs; for one linear layer with squared loss K-FAC is the Fisher
        foreach (bool deep in (bool[])[false, true])
        {
            manual_seed(4);
            var model = (
                deep
                    ? nn.Sequential(("a", nn.Linear(6, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 4)))
                    : nn.Sequential(("a", nn.Linear(6, 4)))
            ).to(ScalarType.Float64);
            var x = randn(40, 6, dtype: ScalarType.Float64) * logspace(-2, 2, 6, dtype: ScalarType.Float64);
            var objective = new Objective(model, new Gaussian(), [(x, randn(40, 4, dtype: ScalarType.Float64))]);
            const double Damping = 1e-2;
            var c = new Fisher(objective).Damped(Damping);
            using var factored = new KroneckerFactored(objective);
            using var preconditioner = factored.Inverse(Damping, DampingMethod.Eigenbasis, measureResidual: false);
            CgInverse plain = new(c),
                preconditioned = new(c, preconditioner: preconditioner);
            var dense = c.ToDense();
            HoldsSolution(plain, dense, 1e-4, InverseStatus.Solved);
            HoldsSolution(preconditioned, dense, 1e-4, InverseStatus.Solved);
            int most = deep ? plain.LastReport!.Iterations * 3 / 4 : 3;
            Assert.True(
                preconditioned.LastReport!.Iterations <= most,
                $"{preconditioned.LastReport.Iterations} against {plain.LastReport!.Iterations}"
            );
        }
    }

    [Fact]
    public void Neumann_is_its_truncated_series()
    {
        var m = Matrix(0.5, 1, 1.5, 2);
        var b = randn(4, dtype: ScalarType.Float64);
        var step = eye(4, dtype: ScalarType.Float64) - 0.4 * m;
        var (sum, power) = (zeros_like(b), b);
        for (int i = 0; i < 7; i++)
        {
            sum += 0.4 * power;
            power = step.mv(power);
        }
        var inverse = new NeumannInverse(LinearOperator.FromDense(m), new() { Scale = 0.4, MaxIterations = 7 });
        Assert.True(DenseCurvature.RelativeError(inverse.Apply(b), sum) < 1e-12);
        Assert.Equal(new(InverseStatus.IterationLimit, 7, inverse.LastReport!.RelativeResidual), inverse.LastReport);
        Assert.Equal((power.norm() / b.norm()).ToDouble(), inverse.LastReport.RelativeResidual!.Value, 1e-12);
        Assert.Null(new NeumannInverse(LinearOperator.FromDense(m)).LastReport);
    }

    [Fact]
    public void Outcomes_are_values()
    {
        var b = ones(3, dtype: ScalarType.Float64);
        LinearOperator positive = LinearOperator.FromDense(Matrix(1, 2, 5)),
            indefinite = LinearOperator.FromDense(Matrix(-1, 2, 5)),
            broken = LinearOperator.FromDense(full(3, 3, double.NaN, dtype: ScalarType.Float64)),
            singular = LinearOperator.FromDense(Matrix(0, 1, 2));

        Assert.Equal(InverseStatus.Diverged, Status(new NeumannInverse(positive))); // α = 1 > 2 / 5
        Assert.Equal(InverseStatus.NotFinite, Status(new NeumannInverse(broken)));
        Assert.Equal(InverseStatus.IterationLimit, Status(new CgInverse(positive, new() { MaxIterations = 1 })));
        Assert.Equal(InverseStatus.NegativeCurvature, Status(new CgInverse(indefinite)));
        Assert.Equal(InverseStatus.NotFinite, Status(new CgInverse(broken)));
        using var failed = new CholeskyInverse(indefinite);
        Assert.Equal(InverseStatus.Failed, Status(failed));
        Assert.True(failed.Apply(b).isnan().all().ToBoolean());
        using var raised = new CholeskyInverse(singular);
        Assert.Contains(Status(raised), (InverseStatus[])[InverseStatus.Approximate, InverseStatus.Solved]); // rounding decides
        Assert.True(raised.LastReport!.RelativeResidual > 1e-3); // b is not in its range
        Assert.Equal(0, Zero(new CgInverse(positive)) + Zero(new NeumannInverse(positive)));

        InverseStatus Status(InverseOperator inverse)
        {
            inverse.Apply(b);
            return inverse.LastReport!.Status;
        }

        static double Zero(InverseOperator inverse)
        {
            double norm = inverse.Apply(zeros(3, dtype: ScalarType.Float64)).norm().ToDouble();
            Assert.Equal(new(InverseStatus.Solved, 0, 0), inverse.LastReport);
            return norm;
        }
    }

    [Fact]
    public void Each_option_changes_the_result_and_bad_ones_are_refused()
    {
        var c = LinearOperator.FromDense(Matrix(0.5, 1, 1.2));
        var b = ones(3, dtype: ScalarType.Float64);
        var results = new NeumannOptions[]
        {
            new(),
            new() { Scale = 0.5 },
            new() { MaxIterations = 2 },
            new() { Tolerance = 0.1 },
        }
            .Select(o => new NeumannInverse(c, o).Apply(b))
            .ToList();
        for (int i = 1; i < results.Count; i++)
            Assert.False(results[i].equal(results[0]).all().ToBoolean());
        Assert.Contains(
            "Scale",
            Assert.Throws<ArgumentOutOfRangeException>(() => new NeumannOptions { Scale = 0 }).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentOutOfRangeException>(() => new NeumannOptions { MaxIterations = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new NeumannOptions { Tolerance = -1 });
        var large = LinearOperator.FromFunction(100_000, ScalarType.Float32, v => v.clone());
        Assert.Contains("100000", Assert.Throws<ArgumentException>(() => new CholeskyInverse(large)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Live_tensors_stay_flat()
    {
        var objective = CurvatureCases.Make("mlp").Objective();
        var c = new GaussNewton(objective).Damped(1);
        var b = ones(c.Dimension, dtype: ScalarType.Float64);
        void Once()
        {
            using var scope = NewDisposeScope();
            using var factored = new KroneckerFactored(objective, corrected: true);
            foreach (var method in Enum.GetValues<DampingMethod>())
            {
                using var own = factored.Inverse(1, method);
                own.Apply(b).Dispose();
                new CgInverse(c, preconditioner: own).Apply(b).Dispose();
            }
            using var cholesky = new CholeskyInverse(c);
            cholesky.Apply(b).Dispose();
            new NeumannInverse(c, new() { Scale = 0.1, MaxIterations = 3 }).Apply(b).Dispose();
        }
        Once();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 0; i < 3; i++)
            Once();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
