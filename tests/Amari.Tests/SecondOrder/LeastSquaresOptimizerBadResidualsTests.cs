using Amari.LeastSquares;
using static Amari.Tests.SecondOrder.Functions;

namespace Amari.Tests.SecondOrder;

/// <summary>What least-squares methods make of residuals that are not finite, change their number, or do not depend on a
/// parameter.</summary>
public sealed class LeastSquaresOptimizerBadResidualsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string, LinearSolverKind?> Methods
    {
        get
        {
            var data = new TheoryData<string, LinearSolverKind?>();
            foreach (string name in (string[])["LevenbergMarquardt", "DampedGaussNewton"])
            foreach (var solver in SecondOrderCases.Solvers)
                data.Add(name, solver);
            return data;
        }
    }

    private static (Func<LeastSquaresResult> Solve, Func<StepReport> Step, SecondOrderOptimizer Optimizer) Make(
        string name,
        LinearSolverKind? solver,
        Residuals residuals
    )
    {
        if (name == "LevenbergMarquardt")
        {
            var lm = new LevenbergMarquardt(residuals, new() { Solver = SecondOrderCases.Solver(solver) });
            return (() => lm.Solve(60), lm.StepOnResiduals, lm);
        }
        var gn = new DampedGaussNewton(residuals, new() { Solver = SecondOrderCases.Solver(solver) });
        return (() => gn.Solve(60), gn.StepOnResiduals, gn);
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_start_that_is_not_finite_is_a_result(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => (w - 2).log(), 1, 5);
        var (solve, step, optimizer) = Make(name, solver, problem);
        using (optimizer)
        {
            var result = solve();
            Assert.Equal(LeastSquaresStatus.NotFinite, result.Status);
            Assert.Equal(1, result.Steps);
            Assert.Contains("not finite at the start", result.Reason, StringComparison.Ordinal);
            Assert.Equal([1, 5], problem.Position);
            Assert.Equal(StepOutcome.Skipped, step().Outcome);
            Assert.Equal(2, optimizer.SkippedSteps);
        }
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_jacobian_that_is_not_finite_is_a_result(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => w.sqrt() - 1, 0, 4);
        var (solve, _, optimizer) = Make(name, solver, problem);
        using (optimizer)
            Assert.Equal(LeastSquaresStatus.NotFinite, solve().Status);
        Assert.Equal([0, 4], problem.Position);
    }

    [Theory, MemberData(nameof(Methods))]
    public void Trials_outside_the_domain_are_taken_back(string name, LinearSolverKind? solver)
    {
        // the first full step leads to x < 0, where the logarithm is not a number
        var problem = new FunctionResiduals(w => w.log(), 10, 20);
        var (solve, step, optimizer) = Make(name, solver, problem);
        using (optimizer)
        {
            Assert.Equal(StepOutcome.Accepted, step().Outcome);
            Assert.InRange(optimizer.Report!.Trials!.Value, 2, 20);
            var result = solve();
            Assert.True(result.Converged, result.Reason);
        }
        Assert.All(problem.Position, x => Assert.Equal(1, x, 1e-6));
    }

    [Theory, MemberData(nameof(Methods))]
    public void Residuals_that_become_nan_leave_the_last_good_step(string name, LinearSolverKind? solver)
    {
        int calls = 0;
        bool broken = false;
        var problem = new FunctionResiduals(w => (calls++, broken ? w * double.NaN : w.square() - 2).Item2, 3, 4);
        var (solve, step, optimizer) = Make(name, solver, problem);
        using (optimizer)
        {
            step();
            var good = problem.Position;
            broken = true;
            Assert.Equal(LeastSquaresStatus.NotFinite, solve().Status);
            Assert.Equal(good, problem.Position);
        }
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_parameter_without_effect_stays(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => stack([w[0] - 1, w[0] * w[2] - 2, w[2].square() - 4]), 3, 7, 1);
        var (solve, _, optimizer) = Make(name, solver, problem);
        using (optimizer)
            Assert.True(solve().Converged);
        Assert.Equal(7, problem.Position[1]);
        Assert.Equal(1, problem.Position[0], 1e-6);
        Assert.Equal(2, problem.Position[2], 1e-6);
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_jacobian_of_zeros_is_no_minimum(string name, LinearSolverKind? solver)
    {
        foreach (Func<Tensor, Tensor> residuals in (Func<Tensor, Tensor>[])[w => w * 0 + 3, w => w.detach(), w => (w - 1).pow(3) + 1])
        {
            var problem = new FunctionResiduals(residuals, 1, 1);
            var (solve, _, optimizer) = Make(name, solver, problem);
            using (optimizer)
            {
                var result = solve();
                Assert.Equal(LeastSquaresStatus.Stuck, result.Status);
                Assert.StartsWith("The Jacobian is zero", result.Reason, StringComparison.Ordinal);
                Assert.Equal(1, result.Steps);
            }
            Assert.Equal([1, 1], problem.Position);
        }
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_jacobian_of_the_wrong_sign_is_named(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => stack([w[0].exp() - 3, 2 * w[0] - 1]), 1) { JacobianFactor = -1 };
        var (solve, _, optimizer) = Make(name, solver, problem);
        using (optimizer)
            Assert.Equal(LeastSquaresStatus.WrongJacobian, solve().Status);
        Assert.Equal(1, problem.Position[0], 1e-12);
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_jacobian_of_the_wrong_size_does_not_converge_early(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => stack([w[0].exp() - 3, 2 * w[0] - 1]), 1) { JacobianFactor = 5 };
        var (solve, _, optimizer) = Make(name, solver, problem);
        using (optimizer)
        {
            var result = solve();
            Assert.True(!result.Converged || Math.Abs(result.Loss - 0.4617223742860526) < 1e-6, result.Reason);
        }
    }

    [Theory, MemberData(nameof(Methods))]
    public void Residuals_that_are_nan_at_every_trial_are_not_finite(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => where(w.eq(3), w.square() - 2, full_like(w, double.NaN)), 3, 3);
        var (solve, _, optimizer) = Make(name, solver, problem);
        using (optimizer)
        {
            var result = solve();
            Assert.Equal(LeastSquaresStatus.NotFinite, result.Status);
            Assert.Contains("not finite at any step that was tried", result.Reason, StringComparison.Ordinal);
        }
        Assert.Equal([3, 3], problem.Position);
    }

    [Fact]
    public void A_learning_rate_of_zero_solves_nothing()
    {
        using var optimizer = new LevenbergMarquardt(new FunctionResiduals(w => w - 1, 2), new() { LearningRate = 0 });
        Assert.StartsWith(
            "LearningRate is 0, so",
            Assert.Throws<InvalidOperationException>(() => optimizer.Solve()).Message,
            StringComparison.Ordinal
        );
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_singular_jacobian_is_solved(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => stack([w[0] + w[1] - 3, 2 * w[0] + 2 * w[1] - 6, w[0] + w[1] - 3]), 5, 1);
        var (solve, _, optimizer) = Make(name, solver, problem);
        using (optimizer)
            Assert.True(solve().Loss < 1e-12);
        Assert.Equal(3, problem.Position.Sum(), 1e-6);
        Assert.Equal(4, problem.Position[0] - problem.Position[1], 1e-6); // nothing moves along what J does not see
    }

    [Theory, MemberData(nameof(Methods))]
    public void Another_number_of_residuals_is_refused_and_nothing_moves(string name, LinearSolverKind? solver)
    {
        int calls = 0;
        var problem = new FunctionResiduals(w => w.square().narrow(0, 0, calls++ == 0 ? 3 : 2), 1, 2, 3);
        var (_, step, optimizer) = Make(name, solver, problem);
        using (optimizer)
            Assert.Equal(
                "The residuals are [2] now and were [3] at the last linearization: there must be as many at all parameters.",
                Assert.Throws<InvalidOperationException>(step).Message
            );
        Assert.Equal([1, 2, 3], problem.Position);
    }

    [Theory, MemberData(nameof(Methods))]
    public void Losses_that_overflow_are_skipped(string name, LinearSolverKind? solver)
    {
        var problem = new FunctionResiduals(w => w * 1e200, 1, 2);
        var (solve, _, optimizer) = Make(name, solver, problem);
        using (optimizer)
            Assert.Equal(LeastSquaresStatus.NotFinite, solve().Status);
        Assert.Equal([1, 2], problem.Position);
    }

    [Fact]
    public void Matrices_above_the_limit_are_refused_with_the_remedy()
    {
        var problem = new FunctionResiduals(w => w - 1, [.. Enumerable.Repeat(2.0, 50)]);
        LinearSolver[] solvers =
        [
            new LinearSolver.Normal { MaxDenseBytes = 1000 },
            new LinearSolver.Gram { MaxDenseBytes = 1000 },
            new LinearSolver.Qr { MaxDenseBytes = 1000 },
        ];
        foreach (var solver in solvers)
        {
            using var optimizer = new LevenbergMarquardt(problem, new() { Solver = solver });
            string message = Assert.Throws<ArgumentException>(optimizer.StepOnResiduals).Message;
            Assert.StartsWith(
                $"The solver {solver.Kind} forms dense matrices: 50 residuals of 50 parameters",
                message,
                StringComparison.Ordinal
            );
            Assert.EndsWith("use LinearSolver.ConjugateGradient, which forms none.", message, StringComparison.Ordinal);
        }
        using var automatic = new LevenbergMarquardt(problem, new() { Solver = new LinearSolver.Automatic { MaxDenseBytes = 1000 } });
        Assert.Equal(LinearSolverKind.ConjugateGradient, automatic.StepOnResiduals().Solver);
    }

    [Fact]
    public void Residuals_of_other_parameters_are_refused_with_both_names()
    {
        using var optimizer = new LevenbergMarquardt(new FunctionResiduals(w => w - 1, 2));
        Assert.Contains(
            "other parameters (w) than",
            Assert.Throws<ArgumentException>(() => optimizer.StepOnResiduals(new FunctionResiduals(w => w - 1, 2))).Message,
            StringComparison.Ordinal
        );
    }
}
