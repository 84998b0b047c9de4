using Amari.SecondOrder;
using Amari.Solvers;

namespace Amari.Tests.SecondOrder;

public sealed class JacobianCheckTests : IDisposable
{
    private static readonly double[] Start = [1, 0.1];
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static Tensor X => arange(1, 21, dtype: ScalarType.Float64);

    private static Tensor Decay(Tensor w) => w[0] * exp(-w[1] * X) - (5 * exp(-0.3 * X) + 0.1 * sin(7 * X));

    private static Tensor OneRow(long row)
    {
        var factors = ones(20, 1, dtype: ScalarType.Float64);
        factors[row] = -1;
        return factors;
    }

    [Fact]
    public void A_right_jacobian_passes_and_nothing_moves()
    {
        foreach (
            double[] at in (double[][])
                [
                    [1, 0.1],
                    [0, 0],
                    [1e6, 1e-9],
                    [-3, 2],
                ]
        )
        {
            var problem = new FunctionResiduals(Decay, at);
            Assert.Null(JacobianCheck.Find(problem));
            Assert.Equal(at, problem.Position);
        }
        // kinks where the parameters are, a domain that ends there, and residuals that are rounding
        Assert.Null(JacobianCheck.Find(new FunctionResiduals(w => (w - 1).abs(), 1, 1)));
        Assert.Null(JacobianCheck.Find(new FunctionResiduals(w => w.sqrt() - 2, 0, 4)));
        Assert.Null(JacobianCheck.Find(new FunctionResiduals(w => w.mul(1e17).sub(1e17), 1, 1)));
    }

    [Fact]
    public void The_wrong_row_is_found()
    {
        var wrong = JacobianCheck.Find(new FunctionResiduals(Decay, Start) { JacobianFactor = OneRow(13) })!;
        Assert.Equal(13, wrong.Row);
        Assert.Equal(-wrong.Claimed, wrong.Actual, 1e-6 * Math.Abs(wrong.Actual));
    }

    public static TheoryData<LinearSolverKind?, double> Factors
    {
        get
        {
            var data = new TheoryData<LinearSolverKind?, double>();
            foreach (var solver in SecondOrderCases.Solvers)
            foreach (double factor in (double[])[0.3, 5])
                data.Add(solver, factor);
            return data;
        }
    }

    [Theory, MemberData(nameof(Factors))]
    public void Slow_progress_with_a_wrong_jacobian_is_explained(LinearSolverKind? solver, double factor)
    {
        var problem = new FunctionResiduals(Decay, Start) { JacobianFactor = factor };
        using var optimizer = new LevenbergMarquardt(problem, new() { Solver = SecondOrderCases.Solver(solver) });
        var result = optimizer.Solve(100);
        Assert.Equal(LeastSquaresStatus.WrongJacobian, result.Status);
        Assert.False(result.Converged);
        Assert.InRange(result.Steps, 1, 60);
        Assert.Contains("The Jacobian is not that of the residuals", result.Reason, StringComparison.Ordinal);
        Assert.EndsWith("Check the derivatives.", result.Reason, StringComparison.Ordinal);
    }

    [Theory, InlineData(0), InlineData(5), InlineData(10)]
    public void One_row_of_the_wrong_sign_is_explained(long row)
    {
        var problem = new FunctionResiduals(Decay, Start) { JacobianFactor = OneRow(row) };
        using var optimizer = new LevenbergMarquardt(problem);
        var result = optimizer.Solve(300);
        Assert.Equal(LeastSquaresStatus.WrongJacobian, result.Status);
        Assert.Contains($"residual {row} changes by", result.Reason, StringComparison.Ordinal);
    }

    public static TheoryData<LinearSolverKind?, double> NearCollinear
    {
        get
        {
            var data = new TheoryData<LinearSolverKind?, double>();
            foreach (var solver in SecondOrderCases.Solvers)
            foreach (double noise in (double[])[0, 0.01])
                data.Add(solver, noise);
            return data;
        }
    }

    [Theory, MemberData(nameof(NearCollinear))]
    public void Near_collinear_columns_end_with_convergence(LinearSolverKind? solver, double noise)
    {
        var y = 2 * X + 1e-9 * X * X + noise * sin(7 * X);
        foreach (double share in (double[])[1e-5, 1e-9, 1e-12])
        {
            var problem = new FunctionResiduals(w => w[0] * X + w[1] * (X + share * X * X) - y, 1, 0.5);
            using var optimizer = new LevenbergMarquardt(problem, new() { Solver = SecondOrderCases.Solver(solver, 1e-13) });
            var result = optimizer.Solve(200);
            // the matrix of Gram is singular here, as there are more residuals than parameters: its steps are short, which it says
            bool explained = solver == LinearSolverKind.Gram && result.Reason.Contains("Take LinearSolver.Qr", StringComparison.Ordinal);
            Assert.True(result.Converged || explained, $"{share}: {result.Reason}");
            Assert.InRange(result.Loss, 0, noise == 0 ? 1e-12 : 6e-4);
        }
    }
}
