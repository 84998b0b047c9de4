using Amari.Optimizers;
using Amari.Ranks;
using Amari.Tests.SecondOrder;

namespace Amari.Tests.Solvers;

public sealed class LinearSolverTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string> Methods => [nameof(NaturalGradient), nameof(LevenbergMarquardt), nameof(DampedGaussNewton)];

    private static Type OptionsOf(string method) =>
        method switch
        {
            nameof(NaturalGradient) => typeof(NaturalGradient.Options),
            nameof(LevenbergMarquardt) => typeof(LevenbergMarquardt.Options),
            _ => typeof(DampedGaussNewton.Options),
        };

    private static (double[] End, LinearSolverKind? Solver) Run(string method, LinearSolver solver)
    {
        var model = SecondOrderCases.Model();
        using SecondOrderOptimizer optimizer = method switch
        {
            nameof(NaturalGradient) => new NaturalGradient(model, new Categorical(), new() { Damping = 0.1, Solver = solver }),
            nameof(LevenbergMarquardt) => new LevenbergMarquardt(model, new LabelSquares(), new() { Solver = solver }),
            _ => new DampedGaussNewton(model, new LabelSquares(), new() { Damping = 0.01, Solver = solver }),
        };
        SecondOrderCases.StepOnBatch(optimizer, 0);
        return (SecondOrderCases.Values(model), optimizer.Report!.Solver);
    }

    [Theory, MemberData(nameof(Methods))]
    public void Each_setting_changes_the_step(string method)
    {
        LinearSolver.ConjugateGradient iterative = new();
        LinearSolver.Automatic automatic = new() { MaxDenseBytes = 1 };
        LinearSolver[] solvers =
        [
            new LinearSolver.Normal(),
            iterative,
            iterative with
            {
                MaxIterations = 1,
            },
            iterative with
            {
                Tolerance = 0.01,
            },
            automatic with
            {
                Otherwise = new() { MaxIterations = 2 },
            },
        ];
        var runs = solvers.Select(s => Run(method, s)).ToList();
        Assert.Equal(runs.Count, runs.Select(r => string.Join(' ', r.End)).Distinct().Count());
        Assert.Equal(solvers.Select(s => s.Kind ?? LinearSolverKind.ConjugateGradient), runs.Select(r => r.Solver!.Value));
    }

    [Theory, MemberData(nameof(Methods))]
    public void A_dense_solver_above_its_limit_is_refused(string method)
    {
        LinearSolver[] solvers = [new LinearSolver.Normal { MaxDenseBytes = 1000 }, new LinearSolver.Gram { MaxDenseBytes = 1000 }];
        foreach (var solver in solvers)
            Assert.EndsWith(
                "above the limit of 0.0 GiB (MaxDenseBytes); use LinearSolver.ConjugateGradient, which forms none.",
                Assert.Throws<ArgumentException>(() => Run(method, solver)).Message,
                StringComparison.Ordinal
            );
    }

    [Theory, MemberData(nameof(Methods))]
    public void Names_of_the_command_line_find_the_settings_in_force(string method)
    {
        Assert.Equal(
            new LinearSolver.Automatic
            {
                MaxDenseBytes = 5,
                Otherwise = new() { MaxIterations = 7, Tolerance = 0.5 },
            },
            Applied(("MaxIterations", "7"), ("tolerance", "0.5"), ("max-dense-bytes", "5"))
        );
        Assert.Equal(
            new LinearSolver.ConjugateGradient { MaxIterations = 7 },
            Applied(("solver", "conjugate-gradient"), ("MaxIterations", "7"))
        );
        Assert.Equal(new LinearSolver.Gram(), Applied(("Solver", "gram")));
        Assert.Contains(
            "it is one of Solver=ConjugateGradient, and Solver is Gram",
            Assert.Throws<UnknownOptionException>(() => Applied(("solver", "gram"), ("MaxIterations", "7"))).Message,
            StringComparison.Ordinal
        );

        object Applied(params (string Name, string Value)[] settings)
        {
            var options = Settings.Apply(OptionsOf(method), settings.Select(s => KeyValuePair.Create(s.Name, s.Value)));
            var described = Settings.Restore(OptionsOf(method), Settings.Describe(options));
            Assert.Equal(options, described);
            return options.GetType().GetProperty("Solver")!.GetValue(options)!;
        }
    }

    [Fact]
    public void Values_out_of_range_are_refused()
    {
        foreach (var kind in Enum.GetValues<LinearSolverKind>())
            Assert.Equal(kind, LinearSolver.Of(kind).Kind);
        Assert.Contains("MaxDenseBytes is 0; it must be", Refused(() => _ = new LinearSolver.Normal { MaxDenseBytes = 0 }));
        Assert.Contains("MaxIterations is 0; it must be", Refused(() => _ = new LinearSolver.ConjugateGradient { MaxIterations = 0 }));
        Assert.Contains("Tolerance is NaN; it must be", Refused(() => _ = new LinearSolver.ConjugateGradient { Tolerance = double.NaN }));
        Assert.Contains("Solver is Qr; it must be", Refused(() => _ = new NaturalGradient.Options { Solver = new LinearSolver.Qr() }));
        Assert.Throws<ArgumentNullException>(() => new LevenbergMarquardt.Options { Solver = null! });
        Assert.Throws<ArgumentNullException>(() => new LinearSolver.Automatic { Otherwise = null! });

        static string Refused(Action make) => Assert.ThrowsAny<ArgumentException>(make).Message;
    }
}
