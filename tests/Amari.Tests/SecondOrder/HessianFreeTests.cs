using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Solvers;
using Amari.Verification;

namespace Amari.Tests.SecondOrder;

/// <summary>Hessian-free optimization against a quadratic, its own rules, and a dense solve, in float64.</summary>
public sealed class HessianFreeTests : IDisposable
{
    private const ScalarType F64 = ScalarType.Float64;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y) Network(int seed = 5)
    {
        manual_seed(seed);
        var model = nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3))).to(F64);
        return (model, 2 * randn(30, 4, dtype: F64), randint(0, 3, [30], dtype: ScalarType.Int64));
    }

    private static Tensor Flat(nn.Module model) => cat([.. model.parameters().Select(p => p.detach().flatten())]);

    private static Tensor Gradient(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor x, Tensor y) =>
        cat([.. autograd.grad([likelihood.Loss(model.call(x), y)], [.. model.parameters()]).Select(g => g.flatten())]);

    [Theory, InlineData(HessianFreePreconditioner.None), InlineData(HessianFreePreconditioner.Diagonal)]
    public void Quadratic_is_solved_in_one_step(HessianFreePreconditioner preconditioner)
    {
        manual_seed(1);
        var model = nn.Linear(5, 2).to(F64);
        var (x, y) = (randn(40, 5, dtype: F64), randn(40, 2, dtype: F64));
        var likelihood = new Gaussian(0.5);
        using var optimizer = new HessianFree(
            model,
            likelihood,
            new()
            {
                Damping = 1e-12,
                Preconditioner = preconditioner,
                ProgressTolerance = 1e-20,
            }
        );
        var report = optimizer.StepOnBatch(x, y);
        Assert.True(Gradient(model, likelihood, x, y).abs().max().ToDouble() < 1e-8);
        Assert.Equal(1, report.ReductionRatio!.Value, 1e-9);
        Assert.Equal(
            (1.0, StepOutcome.Accepted, CgStatus.Converged, false),
            (report.StepSize, report.Outcome, report.CgStatus, report.NegativeCurvature)
        );
        Assert.Equal(1e-12 / 1.5, optimizer.Damping, 1e-26);
    }

    [Fact]
    public void Step_solves_the_dense_damped_gauss_newton_system()
    {
        var (model, x, y) = Network();
        var before = Flat(model);
        var parameters = model.parameters().ToList();
        var c = KfacOptimizer.Dense.Fisher(model, x, parameters, KfacOptimizer.Dense.CategoricalFisher);
        var g = Gradient(model, new Categorical(), x, y);
        using var optimizer = new HessianFree(
            model,
            new Categorical(),
            new()
            {
                Damping = 0.3,
                CgBacktracking = false,
                ProgressTolerance = 1e-20,
            }
        );
        var report = optimizer.StepOnBatch(x, y);
        var p = linalg.solve(c + 0.3 * eye(c.shape[0], dtype: F64), g.neg().unsqueeze(1)).squeeze(1);
        Assert.True((Flat(model) - before - report.StepSize * p).abs().max().ToDouble() < 1e-8);
        Assert.Equal(-(g.dot(p) + 0.5 * p.dot(c.mv(p))).ToDouble(), report.PredictedReduction!.Value, 1e-9);
        Assert.Equal(0.3, report.Damping);
    }

    [Fact]
    public void Damping_follows_levenberg_and_marquardt_and_the_loss_never_rises()
    {
        var (model, x, y) = Network();
        using var optimizer = new HessianFree(
            model,
            new Categorical(),
            new()
            {
                Damping = 1e-6,
                DampingFactor = 3,
                CgBacktracking = false,
            }
        );
        var moves = new HashSet<int>();
        for (int i = 0; i < 15; i++)
        {
            double lambda = optimizer.Damping;
            var before = Optimizers.Problem.Values(model.parameters());
            var r = optimizer.StepOnBatch(x, y);
            Assert.Equal(lambda, r.Damping);
            double expected =
                r.ReductionRatio < 0.25 ? lambda * 3
                : r.ReductionRatio > 0.75 ? lambda / 3
                : lambda;
            Assert.Equal(expected, optimizer.Damping);
            moves.Add(optimizer.Damping.CompareTo(lambda));
            Assert.True(r.LossAfter <= r.LossBefore * (1 + 1e-12));
            if (r.Outcome == StepOutcome.Rejected)
                Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
            if (r.Outcome == StepOutcome.Accepted && r.StepSize == 1)
                Assert.Equal((r.LossBefore - r.LossAfter) / r.PredictedReduction!.Value, r.ReductionRatio!.Value, 1e-6);
        }
        Assert.Contains(1, moves);
        Assert.Contains(-1, moves);
    }

    [Fact]
    public void Backtracking_takes_the_lowest_iterate_from_the_end()
    {
        var (model, x, y) = Network();
        var c =
            KfacOptimizer.Dense.Fisher(model, x, [.. model.parameters()], KfacOptimizer.Dense.CategoricalFisher)
            + 1e-2 * eye(51, dtype: F64);
        var g = Gradient(model, new Categorical(), x, y);
        var before = Flat(model);
        using var optimizer = new HessianFree(
            model,
            new Categorical(),
            new()
            {
                Damping = 1e-2,
                MaxIterations = 14,
                ProgressTolerance = 1e-20,
                Preconditioner = HessianFreePreconditioner.None,
            }
        );
        var report = optimizer.StepOnBatch(x, y);
        var after = Flat(model);

        // textbook conjugate gradient, with the iterates that Martens keeps
        Tensor p = zeros_like(g),
            r = g.neg(),
            d = r.clone();
        var kept = new List<Tensor>();
        for (int i = 1, next = 1; i <= 14; i++)
        {
            var cd = c.mv(d);
            var alpha = r.dot(r) / d.dot(cd);
            var rest = r - alpha * cd;
            (p, d, r) = (p + alpha * d, rest + rest.dot(rest) / r.dot(r) * d, rest);
            if (i == next || i == 14)
                kept.Add(p);
            if (i == next)
                next = (int)Math.Ceiling(next * 1.3);
        }
        double[] losses =
        [
            .. kept.Select(k =>
            {
                Write(before + k);
                return new Categorical().Loss(model.call(x), y).ToDouble();
            }),
        ];
        int best = losses.Length - 1;
        while (best > 0 && losses[best - 1] < losses[best])
            best--;
        Assert.InRange(best, 1, losses.Length - 2);
        Assert.Equal((14, CgStatus.IterationLimit), (report.CgIterations, report.CgStatus));
        Assert.True((after - before - report.StepSize * kept[best]).abs().max().ToDouble() < 1e-6 * kept[best].abs().max().ToDouble());
        if (report.StepSize == 1)
            Assert.Equal(losses[best], report.LossAfter, 1e-6);

        void Write(Tensor w) => Amari.Curvature.ParameterLayout.Of(model).Write(w);
    }

    [Fact]
    public void Line_search_shortens_a_step_that_is_too_long()
    {
        var (model, x, y) = Network();
        var g = Gradient(model, new Categorical(), x, y);
        var before = Flat(model);
        using var optimizer = new HessianFree(
            model,
            new Categorical(),
            new()
            {
                Damping = 1,
                LearningRate = 1000,
                CgBacktracking = false,
            }
        );
        var report = optimizer.StepOnBatch(x, y);
        Assert.Equal(StepOutcome.Accepted, report.Outcome);
        double shortenings = Math.Log(report.StepSize / 1000) / Math.Log(0.8);
        Assert.True(shortenings > 0.5);
        Assert.Equal(Math.Round(shortenings), shortenings, 1e-9);
        var p = (Flat(model) - before) / report.StepSize;
        Assert.True(Armijo(report.StepSize));
        Assert.False(Armijo(report.StepSize / 0.8));

        bool Armijo(double size)
        {
            Amari.Curvature.ParameterLayout.Of(model).Write(before + size * p);
            return new Categorical().Loss(model.call(x), y).ToDouble() <= report.LossBefore + 0.01 * size * g.dot(p).ToDouble();
        }
    }

    [Fact]
    public void Preconditioning_saves_iterations_on_badly_scaled_inputs()
    {
        int Iterations(HessianFreePreconditioner preconditioner)
        {
            manual_seed(4);
            var model = nn.Linear(20, 2).to(F64);
            var (x, y) = (randn(200, 20, dtype: F64) * logspace(-2, 2, 20, dtype: F64), randn(200, 2, dtype: F64));
            using var optimizer = new HessianFree(
                model,
                new Gaussian(),
                new()
                {
                    Damping = 1e-6,
                    Preconditioner = preconditioner,
                    PreconditionerExponent = 1,
                    PreconditionerSamples = 64,
                    ProgressTolerance = 1e-20,
                    CgBacktracking = false,
                }
            );
            return optimizer.StepOnBatch(x, y).CgIterations!.Value;
        }
        int none = Iterations(HessianFreePreconditioner.None),
            diagonal = Iterations(HessianFreePreconditioner.Diagonal),
            kfac = Iterations(HessianFreePreconditioner.Kfac);
        Assert.True(diagonal < 0.7 * none, $"{diagonal} against {none}");
        // for one linear layer and a Gaussian it is nearly the matrix itself
        Assert.True(kfac < 0.5 * diagonal, $"{kfac} against {diagonal}");
    }

    [Fact]
    public void What_k_fac_cannot_precondition_is_logged()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 6)), ("n", nn.PReLU(6)), ("b", nn.Linear(6, 3))).to(F64);
        using var optimizer = new HessianFree(model, new Categorical(), new() { Preconditioner = HessianFreePreconditioner.Kfac });
        var (_, x, y) = Network();
        Assert.Equal(StepOutcome.Accepted, optimizer.StepOnBatch(x, y).Outcome);
        Assert.Equal(
            ["n.weight"],
            optimizer
                .Events.Where(e => e.Message.StartsWith("not preconditioned by K-FAC", StringComparison.Ordinal))
                .Select(e => e.Subject)
                .Order()
        );
    }

    [Fact]
    public void Warm_start_is_the_last_solution()
    {
        var (model, x, y) = Network();
        using var optimizer = new HessianFree(
            model,
            new Categorical(),
            new()
            {
                LearningRate = 0,
                WarmStart = 0.5,
                ProgressTolerance = 1e-20,
                DampingFactor = 1,
                CgBacktracking = false,
                Preconditioner = HessianFreePreconditioner.None,
            }
        );
        int first = optimizer.StepOnBatch(x, y).CgIterations!.Value,
            second = optimizer.StepOnBatch(x, y).CgIterations!.Value;
        var direction = optimizer.Snapshot().Tensors["Direction"];
        Assert.Equal([51L], direction.shape);
        var c = KfacOptimizer.Dense.Fisher(model, x, [.. model.parameters()], KfacOptimizer.Dense.CategoricalFisher);
        var r = (c + eye(51, dtype: F64)).mv(direction) + Gradient(model, new Categorical(), x, y);
        Assert.True(r.abs().max().ToDouble() < 1e-8);
        Assert.InRange(second, 1, first);
        Assert.Equal(51 * sizeof(double), optimizer.StateBytes);
    }

    [Fact]
    public void Estimated_fisher_diagonal_is_unbiased()
    {
        var (model, x, y) = Network();
        var expected = KfacOptimizer.Dense.Fisher(model, x, [.. model.parameters()], KfacOptimizer.Dense.CategoricalFisher).diagonal();
        var objective = new Objective(model, new Categorical(), [(x, y)]);
        const int Seeds = 100;
        var draws = stack(Enumerable.Range(0, Seeds).Select(s => FisherDiagonal.Of(objective, 4, s)));
        var z = (draws.mean([0L]) - expected) / (draws.std(0) / Math.Sqrt(Seeds));
        // 51 correlated scores of mean square 1; 3 errors of a single one
        Assert.InRange(z.square().mean().ToDouble(), 0.3, 1 + 3 * Math.Sqrt(2.0));
        Assert.True(((draws.mean([0L]) - expected).norm() / expected.norm()).ToDouble() < 0.2);
    }
}
