using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Solvers;
using Amari.Training;

namespace Amari.Tests.SecondOrder;

/// <summary>The natural gradient: its three solvers, the closed form, the trust region and invariance, in float64.</summary>
public sealed class NaturalGradientTests : IDisposable
{
    private const ScalarType F64 = ScalarType.Float64;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y) Network(int examples = 8)
    {
        manual_seed(5);
        var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(F64);
        return (model, randn(examples, 4, dtype: F64), randint(0, 3, [examples], dtype: ScalarType.Int64));
    }

    private static Tensor Flat(nn.Module model) => cat([.. model.parameters().Select(p => p.detach().flatten())]);

    private static (Tensor After, StepReport Report) Run(NaturalGradient.Options options, int examples = 8)
    {
        var (model, x, y) = Network(examples);
        using var optimizer = new NaturalGradient(model, new Categorical(), options);
        var report = optimizer.StepOnBatch(x, y);
        return (Flat(model), report);
    }

    [
        Theory,
        InlineData(FisherKind.Exact),
        InlineData(FisherKind.MonteCarlo),
        InlineData(FisherKind.CurvaturePropagation),
        InlineData(FisherKind.Empirical)
    ]
    public void Dense_conjugate_gradient_and_gram_take_the_same_step(FisherKind kind)
    {
        NaturalGradient.Options options = new()
        {
            Fisher = kind,
            MonteCarloSamples = 2,
            Damping = 1e-2,
            Seed = 3,
        };
        var dense = Run(options with { Solver = new LinearSolver.Normal() });
        foreach (var solver in (LinearSolver[])[new LinearSolver.ConjugateGradient { Tolerance = 1e-12 }, new LinearSolver.Gram()])
        {
            var other = Run(options with { Solver = solver });
            Assert.Equal(solver.Kind, other.Report.Solver);
            Assert.True((other.After - dense.After).abs().max().ToDouble() < 1e-8);
            Assert.Equal(dense.Report.AchievedKl!.Value, other.Report.AchievedKl!.Value, 1e-8);
        }
        Assert.Null(dense.Report.CgIterations);
    }

    [Fact]
    public void Step_is_the_dense_solve_with_the_fisher_of_per_example_jacobians()
    {
        var (model, x, y) = Network();
        var before = Flat(model);
        var f = KfacOptimizer.Dense.Fisher(model, x, [.. model.parameters()], KfacOptimizer.Dense.CategoricalFisher);
        var g = cat([.. autograd.grad([new Categorical().Loss(model.call(x), y)], [.. model.parameters()]).Select(p => p.flatten())]);
        var expected = before - 0.3 * linalg.solve(f + 0.05 * eye(f.shape[0], dtype: F64), g.unsqueeze(1)).squeeze(1);
        var (after, report) = Run(
            new()
            {
                LearningRate = 0.3,
                Damping = 0.05,
                Solver = new LinearSolver.Gram(),
            }
        );
        Assert.True((after - expected).abs().max().ToDouble() < 1e-9);
        var d = after - before;
        Assert.Equal(-(g.dot(d) + 0.5 * d.dot(f.mv(d))).ToDouble(), report.PredictedReduction!.Value, 1e-9);
        Assert.Null(report.TargetKl);
    }

    [Fact]
    public void Solver_is_chosen_by_size()
    {
        // 43 parameters, 3 outputs
        Assert.Equal(LinearSolverKind.Gram, Run(new(), examples: 8).Report.Solver);
        Assert.Equal(LinearSolverKind.Normal, Run(new(), examples: 30).Report.Solver);
        Assert.Equal(LinearSolverKind.Gram, Run(new() { Fisher = FisherKind.Empirical }, examples: 30).Report.Solver);
        Assert.Equal(LinearSolverKind.ConjugateGradient, Of(new() { Otherwise = new() { MaxIterations = 42 } }, 30));
        Assert.Equal(LinearSolverKind.ConjugateGradient, Of(new() { MaxDenseBytes = 1000 }, 8));

        static LinearSolverKind? Of(LinearSolver.Automatic solver, int examples) => Run(new() { Solver = solver }, examples).Report.Solver;
    }

    [Fact]
    public void Gram_takes_positions_of_an_example_as_terms()
    {
        Tensor After(LinearSolver solver)
        {
            manual_seed(6);
            var model = nn.Sequential(("a", nn.Linear(3, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 3))).to(F64);
            var (x, y) = (randn(2, 3, 3, dtype: F64), randint(0, 3, [2, 3], dtype: ScalarType.Int64));
            using var optimizer = new NaturalGradient(model, new Categorical(), new() { Solver = solver, Damping = 1e-2 });
            optimizer.StepOnBatch(x, y);
            return Flat(model);
        }
        Assert.True((After(new LinearSolver.Gram()) - After(new LinearSolver.Normal())).abs().max().ToDouble() < 1e-9);
    }

    [Fact]
    public void Saturated_neuron_moves_as_the_closed_form_says()
    {
        var model = nn.Linear(1, 1, hasBias: false).to(F64);
        using (no_grad())
            model.weight!.fill_(4);
        using var optimizer = new NaturalGradient(model, new Bernoulli(), new() { Damping = 1e-9, LearningRate = 0.5 });
        optimizer.StepOnBatch(ones(1, 1, dtype: F64), zeros(1, 1, dtype: F64));
        double p = 1 / (1 + Math.Exp(-4));
        Assert.Equal(4 - 0.5 * p / (p * (1 - p)), model.weight!.item<double>(), 1e-5);
    }

    [Theory, InlineData(1e-4), InlineData(1e-5), InlineData(1e-6)]
    public void Trust_region_achieves_the_asked_kl(double epsilon)
    {
        var (model, x, y) = Network(30);
        using var optimizer = new NaturalGradient(model, new Categorical(), new() { KlRadius = epsilon, Damping = 1e-2 });
        for (int i = 0; i < 5; i++)
        {
            var before = model.call(x).log_softmax(1).detach();
            var report = optimizer.StepOnBatch(x, y);
            var after = model.call(x).log_softmax(1).detach();
            double kl = (before.exp() * (before - after)).sum(1).mean().ToDouble();
            Assert.Equal(epsilon, report.TargetKl);
            Assert.Equal(kl, report.AchievedKl!.Value, 1e-12);
            Assert.InRange(kl, 0.95 * epsilon, 1.05 * epsilon);
        }
        optimizer.Group.LearningRate = 0.5;
        Assert.Equal(epsilon / 4, optimizer.StepOnBatch(x, y).TargetKl!.Value, 1e-18);
    }

    [Fact]
    public void Coordinates_do_not_matter_exactly_where_linear_else_to_first_order()
    {
        // f = tanh(x a) b, with a = 3 θ or a = sinh θ
        double Gap(Func<Tensor, Tensor> map, Func<Tensor, Tensor> inverse, double rate)
        {
            var (one, other) = (After(a => a, a => a), After(map, inverse));
            Assert.True((one[0] - other[0]).abs().max().ToDouble() < 1e-12);
            Assert.True((one[1] - one[0]).abs().max().ToDouble() > 0.1 * rate);
            return (one[1] - other[1]).norm().ToDouble();

            Tensor[] After(Func<Tensor, Tensor> map, Func<Tensor, Tensor> inverse)
            {
                manual_seed(8);
                var model = new Coordinates(map, inverse);
                var (x, y) = (2 * randn(40, 2, dtype: F64), randn(40, 3, dtype: F64));
                var before = model.call(x).detach();
                using var optimizer = new NaturalGradient(
                    model,
                    new Gaussian(),
                    new()
                    {
                        LearningRate = rate,
                        Damping = 1e-12,
                        Solver = new LinearSolver.Normal(),
                    }
                );
                optimizer.StepOnBatch(x, y);
                return [before, model.call(x).detach()];
            }
        }
        Assert.True(Gap(t => 3 * t, a => a / 3, 0.1) < 1e-8);
        double big = Gap(t => t.sinh(), a => a.arcsinh(), 0.02),
            small = Gap(t => t.sinh(), a => a.arcsinh(), 0.002);
        Assert.True(Math.Log10(big / small) is > 1.8 and < 2.2, $"{big} {small}");
    }

    private sealed class Coordinates : nn.Module<Tensor, Tensor>
    {
        private readonly Func<Tensor, Tensor> _map;
        private readonly Parameter _a,
            _b;

        public Coordinates(Func<Tensor, Tensor> map, Func<Tensor, Tensor> inverse)
            : base(nameof(Coordinates))
        {
            _map = map;
            _a = nn.Parameter(inverse(randn(2, 2, dtype: F64)));
            _b = nn.Parameter(inverse(randn(2, 3, dtype: F64)));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => x.mm(_map(_a)).tanh().mm(_map(_b));
    }
}
