namespace Amari.Tests.SecondOrder;

/// <summary><see cref="LevenbergMarquardt"/> on problems with published minima.</summary>
public sealed class LevenbergMarquardtProblemsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string> Names => [.. MoreGarbowHillstrom.All.Keys];

    [Theory, MemberData(nameof(Names))]
    public void Reaches_the_published_minimum(string name)
    {
        var problem = MoreGarbowHillstrom.All[name];
        foreach (var solver in (LinearSolver[])[new LinearSolver.Automatic(), new LinearSolver.Qr()])
        foreach (double? acceleration in (double?[])[0.75, null])
        {
            using var inner = NewDisposeScope();
            using var optimizer = new LevenbergMarquardt(
                new FunctionResiduals(problem.Residuals, problem.Start),
                new()
                {
                    Solver = solver,
                    MaxAcceleration = acceleration,
                    Scaling = problem.Scaling,
                }
            );
            var result = optimizer.Solve(600);
            Assert.True(
                problem.Minima.Any(m => m == 0 ? result.Loss < 1e-18 : Math.Abs(2 * result.Loss - m) < 1e-5 * m),
                $"{solver}, {acceleration}: {2 * result.Loss}, {result.Reason}"
            );
            Assert.True(result.Converged || problem.Minima[0] == 0, result.Reason);
        }
    }
}
