using Amari.LeastSquares;
using static Amari.Tests.SecondOrder.Functions;

namespace Amari.Tests.SecondOrder;

/// <summary>Steps of <see cref="LevenbergMarquardt"/> against dense solves of the paper's equations.</summary>
public sealed class LevenbergMarquardtTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>(10 (y - x²), 1 - x): Rosenbrock's function is the sum of their squares.</summary>
    private static Tensor Valley(Tensor w) => stack([10 * (w[1] - w[0].square()), 1 - w[0]]);

    /// <summary>Three parameters, two residuals.</summary>
    private static Tensor Wide(Tensor w) => stack([w[0] * w[1] + w[2] - 1, w[2].exp() + w[0] - 3]);

    /// <summary>v, or v + ½ a, of J, r and r'' at a point, by an inverse.</summary>
    private static Tensor Expected(Func<Tensor, Tensor> residuals, double[] start, double lambda, bool scaled, bool accelerated)
    {
        using var at = new FunctionResiduals(residuals, start).Linearize();
        var j = at.Jacobian();
        var d = scaled ? diag(j.square().sum([0L])) : eye(start.Length, dtype: ScalarType.Float64);
        var inverse = linalg.inv(j.T.mm(j) + lambda * d);
        var v = -inverse.mv(j.T.mv(at.R));
        if (!accelerated)
            return v;
        const double h = 1e-4; // central differences of the residuals: not the method's formula
        Tensor At(double t) => new FunctionResiduals(residuals, Values(tensor(start) + t * v)).Values();
        var second = (At(h) - 2 * at.R + At(-h)) / (h * h);
        return v - 0.5 * inverse.mv(j.T.mv(second));
    }

    public static TheoryData<LinearSolverKind?, bool, bool, bool> Solvers
    {
        get
        {
            var data = new TheoryData<LinearSolverKind?, bool, bool, bool>();
            foreach (var solver in SecondOrderCases.Solvers)
            foreach (bool wide in (bool[])[false, true])
            foreach (bool scaled in (bool[])[false, true])
            foreach (bool accelerated in (bool[])[false, true])
                data.Add(solver, wide, scaled, accelerated);
            return data;
        }
    }

    [Theory, MemberData(nameof(Solvers))]
    public void First_step_solves_the_damped_equations(LinearSolverKind? solver, bool wide, bool scaled, bool accelerated)
    {
        Func<Tensor, Tensor> residuals = wide ? Wide : Valley;
        double[] start = wide ? [0.5, 0.7, 0.2] : [0.9, 0.7];
        var problem = new FunctionResiduals(residuals, start);
        using var optimizer = new LevenbergMarquardt(
            problem,
            new()
            {
                Solver = SecondOrderCases.Solver(solver, 1e-13),
                InitialDamping = 0.5,
                Scaling = scaled ? LeastSquaresScaling.Decaying : LeastSquaresScaling.None,
                MaxAcceleration = accelerated ? 10 : null,
            }
        );
        var report = optimizer.StepOnResiduals();
        Assert.Equal(StepOutcome.Accepted, report.Outcome);
        Assert.Equal(1, report.Trials);
        Assert.Equal(accelerated ? 2 : 1, report.Evaluations);
        Assert.Equal(solver ?? (wide ? LinearSolverKind.Gram : LinearSolverKind.Normal), report.Solver);
        var expected = Values(tensor(start) + Expected(residuals, start, report.Damping!.Value, scaled, accelerated));
        // the second derivative of the method is one-sided, with h = 0.1: it is exact to O(h) of the third
        double tolerance = accelerated && wide ? 0.05 : 1e-7;
        Assert.All(problem.Position.Zip(expected), p => Assert.Equal(p.Second, p.First, tolerance));
    }

    [Fact]
    public void Damping_follows_nielsen_and_rejected_trials_share_a_jacobian()
    {
        var problem = new FunctionResiduals(Valley, -1.2, 1);
        using var optimizer = new LevenbergMarquardt(problem, new() { MaxAcceleration = null, Scaling = LeastSquaresScaling.None });
        double? last = null;
        for (int i = 0; i < 10; i++)
        {
            var report = optimizer.StepOnResiduals();
            if (last is { } first)
                Assert.Equal(
                    first * Math.Pow(2, report.Trials!.Value * (report.Trials.Value - 1) / 2),
                    report.Damping!.Value,
                    first * 1e-9
                );
            double shrink = Math.Max(0.2, 1 - Math.Pow(2 * report.ReductionRatio!.Value - 1, 3));
            Assert.Equal(report.Damping!.Value * shrink, optimizer.Damping!.Value, 1e-9 * report.Damping.Value);
            last = optimizer.Damping;
        }
        Assert.Equal(10, problem.Linearizations);
    }

    [Fact]
    public void Scalings_differ_in_what_they_remember()
    {
        var traces = Enum.GetValues<LeastSquaresScaling>()
            .Select(scaling =>
            {
                var problem = new FunctionResiduals(Valley, -1.2, 1);
                using var optimizer = new LevenbergMarquardt(problem, new() { Scaling = scaling });
                for (int i = 0; i < 5; i++)
                    optimizer.StepOnResiduals();
                return problem.Position;
            })
            .ToList();
        Assert.Equal(3, traces.Select(t => t[0]).Distinct().Count());
    }

    [Theory, InlineData(ScalarType.Float64, 1e-12), InlineData(ScalarType.Float32, 1e-4)]
    public void Solves_rosenbrock_and_says_why_it_ended(ScalarType type, double tolerance)
    {
        var problem = new FunctionResiduals(Valley, nn.Parameter(tensor((double[])[-1.2, 1], dtype: type)));
        using var optimizer = new LevenbergMarquardt(problem);
        var reports = new List<StepReport>();
        var result = optimizer.Solve(visit: reports.Add);
        Assert.True(result.Converged, result.Reason);
        Assert.All(problem.Position, x => Assert.Equal(1, x, tolerance));
        Assert.Equal(result.Steps, reports.Count);
        Assert.Equal(result.Linearizations, problem.Linearizations);
        Assert.Equal(result.Evaluations, reports.Sum(r => (long)r.Evaluations!));
        Assert.Equal(result.Loss, reports[^1].LossAfter);
        Assert.StartsWith("Converged", result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Live_tensors_do_not_grow()
    {
        foreach (var solver in SecondOrderCases.Solvers)
        {
            var problem = new FunctionResiduals(Wide, 0.5, 0.7, 0.2);
            using var optimizer = new LevenbergMarquardt(problem, new() { Solver = SecondOrderCases.Solver(solver), LearningRate = 0.5 });
            using var outer = NewDisposeScope();
            optimizer.StepOnResiduals();
            long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            for (int i = 0; i < 10; i++)
                optimizer.StepOnResiduals();
            Assert.InRange(DisposeScopeManager.Statistics.ThreadTotalLiveCount, 0, before);
            Assert.Equal(0, (int)outer.DisposablesCount);
        }
    }
}
