using Amari.Serialization;
using Amari.Solvers;

namespace Amari.Tests.Solvers;

public class ConjugateGradientTests
{
    private static (Tensor Matrix, Tensor Right) System(int n, double condition, int columns = 1)
    {
        manual_seed(3);
        var q = linalg.qr(randn(n, n, dtype: ScalarType.Float64)).Q;
        var l = pow(tensor(condition), linspace(0, 1, n, dtype: ScalarType.Float64));
        return (q.matmul(l.unsqueeze(1) * q.mT), randn(n, columns, dtype: ScalarType.Float64));
    }

    [Fact]
    public void Solves_as_the_dense_solver_does()
    {
        var (m, b) = System(40, 1e3, 3);
        var result = ConjugateGradient.Solve(LinearOperator.FromDense(m), b, new() { Tolerance = 1e-11, MaxIterations = 200 });
        Assert.Equal(CgStatus.Converged, result.Status);
        Assert.InRange((result.Solution - linalg.solve(m, b)).abs().max().ToDouble(), 0, 1e-9);
        Assert.InRange(((m.matmul(result.Solution) - b).square().sum(dim: 0) / b.square().sum(dim: 0)).sqrt().max().ToDouble(), 0, 1e-10);
    }

    [Fact]
    public void The_exact_inverse_as_preconditioner_needs_one_iteration()
    {
        var (m, b) = System(40, 1e4);
        using var inverse = linalg.inv(m);
        var result = ConjugateGradient.Solve(LinearOperator.FromDense(m), b, new() { Tolerance = 1e-8 }, LinearOperator.FromDense(inverse));
        Assert.Equal((CgStatus.Converged, 1), (result.Status, result.Iterations));
    }

    [Fact]
    public void A_start_at_the_solution_is_done_at_once()
    {
        var (m, b) = System(20, 10);
        using var x = linalg.solve(m, b);
        Assert.Equal(0, ConjugateGradient.Solve(LinearOperator.FromDense(m), b, start: x).Iterations);
    }

    [Fact]
    public void Negative_curvature_limits_and_stalls_are_reported()
    {
        var (m, b) = System(30, 1e6);
        Assert.Equal(CgStatus.NegativeCurvature, ConjugateGradient.Solve(LinearOperator.FromDense(m).Damped(-10), b).Status);
        Assert.Equal(CgStatus.NotFinite, ConjugateGradient.Solve(LinearOperator.FromDense(m * double.NaN), b).Status);
        var limited = ConjugateGradient.Solve(LinearOperator.FromDense(m), b, new() { MaxIterations = 3 });
        Assert.Equal((CgStatus.IterationLimit, 3), (limited.Status, limited.Iterations));
        var stalled = ConjugateGradient.Solve(LinearOperator.FromDense(m), b, new() { ProgressTolerance = 0.05, MaxIterations = 1000 });
        Assert.Equal(CgStatus.Stalled, stalled.Status);
        Assert.InRange(stalled.Iterations, 11, 60);
    }

    [Fact]
    public void Every_iterate_is_shown()
    {
        var (m, b) = System(10, 5);
        var seen = new List<int>();
        var result = ConjugateGradient.Solve(LinearOperator.FromDense(m), b, visit: (i, x) => seen.Add(i));
        Assert.Equal(Enumerable.Range(1, result.Iterations), seen);
    }

    /// <summary>A column in the span of a few eigenvectors is solved long before the others.</summary>
    [Theory]
    [InlineData(ScalarType.Float32, 300, 1e-4, 1e-4), InlineData(ScalarType.Float64, 20, 1e-3, 1e-12)]
    public void Columns_that_are_solved_early_do_not_disturb_the_others(ScalarType type, int d, double least, double tolerance)
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var values = logspace(0, Math.Log10(least), d, 10, dtype: ScalarType.Float64).to_type(type);
        var op = LinearOperator.FromFunction(d, type, v => v * values.unsqueeze(1));
        for (int few = 1; few <= 5; few++)
        {
            var b = cat([zeros(d, 1, dtype: type), randn(d, 2, dtype: type)], 1);
            b.narrow(1, 0, 1).index_fill_(0, randperm(d).narrow(0, 0, few), 1);
            var result = ConjugateGradient.Solve(op, b, new() { Tolerance = tolerance, MaxIterations = 3000 });
            Assert.Equal(CgStatus.Converged, result.Status);
            var error = (result.Solution * values.unsqueeze(1) - b).norm(0) / b.norm(0);
            Assert.InRange(error.max().to_type(ScalarType.Float64).ToDouble(), 0, 10 * tolerance);
        }
    }

    [Theory, InlineData(1e-24f), InlineData(1e-15f), InlineData(1e20f), InlineData(1e-37f)]
    public void Right_sides_whose_squares_are_no_float32_are_solved(float size)
    {
        using var scope = NewDisposeScope();
        var (m, b) = System(30, 100);
        Tensor single = m.to_type(ScalarType.Float32),
            right = (b * size).to_type(ScalarType.Float32);
        var result = ConjugateGradient.Solve(LinearOperator.FromDense(single), right, new() { Tolerance = 1e-4 });
        Assert.Equal(CgStatus.Converged, result.Status);
        var expected = linalg.solve(m, b);
        var error = (result.Solution.to_type(ScalarType.Float64) / size - expected).norm() / expected.norm();
        Assert.InRange(error.ToDouble(), 0, 1e-2);
    }

    [Fact]
    public void A_tolerance_below_rounding_ends_as_stalled()
    {
        using var scope = NewDisposeScope();
        var (m, b) = System(30, 100);
        var single = LinearOperator.FromDense(m.to_type(ScalarType.Float32));
        var result = ConjugateGradient.Solve(single, b.to_type(ScalarType.Float32), new() { Tolerance = 1e-12, MaxIterations = 500 });
        Assert.Equal(CgStatus.Stalled, result.Status);
        Assert.InRange(result.RelativeResidual, 0, 2e-6);
    }

    [Fact]
    public void Vectors_of_another_shape_or_dtype_are_refused()
    {
        using var scope = NewDisposeScope();
        var op = LinearOperator.FromDense(eye(5));
        Assert.Contains("b is Float32 [4]; it must be Float32 [5] or [5, k].", Refused(zeros(4)), StringComparison.Ordinal);
        Refused(zeros(5, dtype: ScalarType.Float64));
        Refused(tensor(1f));
        Refused(zeros(5, 0));
        Assert.Contains("start is Float32 [5]; it must be Float32 [5, 2].", Refused(zeros(5, 2), zeros(5)), StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => ConjugateGradient.Solve(op, zeros(5), preconditioner: LinearOperator.FromDense(eye(4))));
        Assert.Throws<ArgumentException>(() => Steihaug.Solve(op, zeros(4), 1));
        Assert.Throws<ArgumentException>(() => Steihaug.Solve(op, zeros(5, 1), 1));

        string Refused(Tensor b, Tensor? start = null) =>
            Assert.Throws<ArgumentException>(() => ConjugateGradient.Solve(op, b, start: start)).Message;
    }
}
