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
}
