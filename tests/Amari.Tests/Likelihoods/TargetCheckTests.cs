using Amari.Curvature;
using Amari.Solvers;
using Amari.Tests.Optimizers;
using Amari.Tests.SecondOrder;
using Amari.Workloads;

namespace Amari.Tests.Likelihoods;

/// <summary>Targets that do not fit the outputs are refused with what was expected; labels -100 are left out everywhere, as rows that are
/// not there.</summary>
public sealed class TargetCheckTests : IDisposable
{
    private const ScalarType F64 = ScalarType.Float64;
    private readonly DisposeScope _scope = NewDisposeScope();

    public TargetCheckTests() => manual_seed(4);

    public void Dispose() => _scope.Dispose();

    private static readonly Dictionary<string, (Likelihood Likelihood, long[] Output, long[] Target)> Cases = new()
    {
        ["Gaussian"] = (new Gaussian(), [8, 1], [8, 1]),
        ["Poisson"] = (new Poisson(), [8, 1], [8, 1]),
        ["Bernoulli"] = (new Bernoulli(), [8, 1], [8, 1]),
        ["HeteroscedasticGaussian"] = (new HeteroscedasticGaussian(), [8, 2], [8, 1]),
        ["Categorical"] = (new Categorical(), [8, 3], [8]),
    };

    public static TheoryData<string> Names => [.. Cases.Keys];

    private static string Refused(Action action) => Assert.ThrowsAny<ArgumentException>(action).Message;

    private static void Refuses(string name, Tensor f, Tensor y, params string[] parts)
    {
        var likelihood = Cases[name].Likelihood;
        foreach (
            var use in new Action[]
            {
                () => likelihood.Loss(f, y),
                () => likelihood.SumNegativeLogLikelihood(f, y),
                () => likelihood.Score(f, y),
            }
        )
        {
            string message = Refused(use);
            foreach (string part in parts.Prepend(name))
                Assert.Contains(part, message, StringComparison.Ordinal);
        }
    }

    private static Tensor Target(string name, long[] shape) => name == "Categorical" ? zeros(shape, dtype: ScalarType.Int64) : ones(shape);

    [Theory, MemberData(nameof(Names))]
    public void Shapes_that_torch_would_broadcast_are_refused_by_name(string name)
    {
        var (_, f, y) = Cases[name];
        long[][] others =
            name == "Categorical"
                ?
                [
                    [8, 1],
                    [1],
                    [7],
                    [8, 3],
                    [],
                ]
                :
                [
                    [8],
                    [1, 8],
                    [1],
                    [9, 1],
                    [8, 2],
                    [8, 1, 1],
                    [],
                ];
        foreach (long[] other in others)
            Refuses(
                name,
                randn(f),
                Target(name, other),
                $"outputs are Float32 [{string.Join(", ", f)}]",
                $"[{string.Join(", ", other)}]",
                $"here [{string.Join(", ", y)}]"
            );
        Refuses(name, randn([]), Target(name, []));
        Refuses(name, zeros(f, dtype: ScalarType.Int64), Target(name, y), "floating-point");
    }

    /// <summary>[2k] is neither one example nor 2k of them.</summary>
    [Fact]
    public void Means_and_variances_without_examples_are_refused() =>
        Assert.Contains(
            "outputs must be [n, 2k]",
            Refused(() => new HeteroscedasticGaussian().Loss(randn(12), randn(6))),
            StringComparison.Ordinal
        );

    [Theory, MemberData(nameof(Names))]
    public void Numbers_of_other_types_are_converted_and_labels_must_be_integers(string name)
    {
        var (likelihood, shape, y) = Cases[name];
        var f = randn(shape).requires_grad_();
        var expected = likelihood.Loss(f, Target(name, y)).ToDouble();
        ScalarType[] fit =
            name == "Categorical"
                ? [ScalarType.Int32, ScalarType.Int16, ScalarType.Byte]
                : [F64, ScalarType.Int64, ScalarType.Int32, ScalarType.Bool, ScalarType.BFloat16];
        foreach (var type in fit)
        {
            var loss = likelihood.Loss(f, Target(name, y).to_type(type));
            Assert.Equal((expected, ScalarType.Float32), (loss.ToDouble(), loss.dtype));
            autograd.backward([loss], inputs: [f]); // its types are those of the outputs
            Assert.Equal(ScalarType.Float32, likelihood.Score(f.detach(), Target(name, y).to_type(type)).dtype);
        }
        ScalarType[] others =
            name == "Categorical" ? [ScalarType.Float32, F64, ScalarType.Bool, ScalarType.ComplexFloat32] : [ScalarType.ComplexFloat32];
        foreach (var type in others)
            Refuses(name, randn(shape), Target(name, y).to_type(type), type.ToString());
    }

    [Fact]
    public void Values_out_of_range_are_refused_with_the_range()
    {
        Assert.True(double.IsFinite(new Categorical().Loss(randn(8, 3), zeros(8, dtype: ScalarType.Int64)).ToDouble()));
        foreach (long label in new[] { -1, 3, -99, 1000, long.MaxValue })
        {
            var y = zeros(8, dtype: ScalarType.Int64);
            y[5] = label;
            Refuses("Categorical", randn(8, 3), y, $"a label is {label}; it must be in [0, 3), or -100");
            Refuses("Categorical", randn(8, 3), cat([y, y]).slice(0, 1, 16, 2), "a label is"); // not contiguous
        }
        Refuses("Bernoulli", randn(8, 1), full([8, 1], 1.5), "between 1.5 and 1.5; they must be in [0, 1]");
        Refuses("Bernoulli", randn(8, 1), full([8, 1], -1), "in [0, 1]");
        Refuses("Poisson", randn(8, 1), full([8, 1], -2), "at least 0");
        Assert.True(double.IsNaN(new Bernoulli().Loss(randn(8, 1), full([8, 1], double.NaN)).ToDouble())); // the step is skipped
    }

    [Theory, MemberData(nameof(Names))]
    public void Nothing_is_the_mean_of_no_terms(string name)
    {
        var (likelihood, f, y) = Cases[name];
        (f, y) = ([0, .. f[1..]], [0, .. y[1..]]);
        Assert.Equal(0, likelihood.SumNegativeLogLikelihood(randn(f), Target(name, y)).ToDouble());
        Assert.True(double.IsNaN(likelihood.Loss(randn(f), Target(name, y)).ToDouble()));
    }

    [Fact]
    public void Data_of_different_counts_are_refused()
    {
        Assert.Contains("[63, 2]", Refused(() => _ = new Dataset(zeros(63, 2), zeros(64))), StringComparison.Ordinal);
        var model = nn.Sequential(("l", nn.Linear(2, 3)));
        var (x, y) = (randn(63, 2), zeros(64, dtype: ScalarType.Int64));
        var categorical = new Categorical();
        using var kfac = new Kfac(model, new() { StepRejection = true }, categorical);
        using var newton = new NewtonCg(model, categorical);
        using var hessian = new AdaHessian(model, categorical);
        using var sophia = new Sophia(model, categorical);
        var objective = new Objective(model, categorical, [(x, y)]);
        foreach (
            Action use in new Action[]
            {
                () => kfac.StepOnBatch(x, y),
                () => newton.StepOnBatch(x, y),
                () => hessian.UpdateCurvature(x, y),
                () => sophia.UpdateCurvature(x, y),
                () => objective.Loss(),
                () => new Hessian(objective).Apply(zeros(9)),
                () => new Fisher(objective).Apply(zeros(9)),
                () => new KroneckerFactored(objective).Dispose(),
            }
        )
            Assert.Contains("[63, 3], the targets Int64 [64]", Refused(use), StringComparison.Ordinal);
    }

    [Fact]
    public void One_example_without_a_dimension_of_examples_is_refused()
    {
        foreach (
            var (layer, shape) in new (nn.Module<Tensor, Tensor>, long[])[]
            {
                (nn.Linear(4, 4), [4]),
                (nn.Conv2d(2, 2, 3, padding: 1), [2, 5, 5]),
                (nn.Conv1d(2, 2, 3, padding: 1), [2, 5]),
            }
        )
        {
            var model = nn.Sequential(("l", layer));
            using var newton = new NewtonCg(model, new Gaussian());
            using var free = new HessianFree(model, new Gaussian());
            var (x, y) = (randn(shape), randn(shape));
            var objective = new Objective(model, new Gaussian(), [(x, y)]);
            foreach (
                Action use in new Action[]
                {
                    () => newton.StepOnBatch(x, y),
                    () => free.StepOnBatch(x, y),
                    () => objective.Gradient(),
                    () => new GaussNewton(objective).Apply(zeros(objective.Parameters.Dimension)),
                }
            )
                Assert.Contains(
                    $"one example, [{string.Join(", ", shape)}], without a batch dimension",
                    Refused(use),
                    StringComparison.Ordinal
                );
            Assert.Equal(StepOutcome.Accepted, newton.StepOnBatch(x.unsqueeze(0), y.unsqueeze(0)).Outcome);
        }
    }

    // ---- labels -100: the oracle is the same without those rows

    private static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y, Tensor Rows) Ignoring()
    {
        manual_seed(7);
        var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(F64);
        var y = randint(0, 3, [10]);
        y[2] = y[7] = tensor(-100L);
        return (model, randn(10, 4, dtype: F64), y, y.ne(-100).nonzero().squeeze(1));
    }

    private static void Near(Tensor expected, Tensor actual, double tolerance) =>
        Trajectory.Near(Problem.Values([expected]), Problem.Values([actual]), tolerance);

    [Fact]
    public void Ignored_labels_are_those_of_torch_s_cross_entropy()
    {
        var categorical = new Categorical();
        foreach (long[] shape in new long[][] { [9, 4], [5, 3, 4] })
        {
            var f = randn(shape, dtype: F64).requires_grad_();
            var y = randint(0, 4, shape[..^1]);
            y.view(-1)[1] = y.view(-1)[4] = tensor(-100L);
            var loss = nn.functional.cross_entropy(f.reshape(-1, 4), y.reshape(-1));
            Assert.Equal(loss.ToDouble(), categorical.Loss(f, y).ToDouble(), 1e-12);
            long counted = y.ne(-100).sum().ToInt64();
            Assert.Equal((y.numel(), counted), (categorical.Terms(f), categorical.Terms(f, y)));
            Near(autograd.grad([loss], [f])[0] * counted, categorical.Score(f.detach(), y), 1e-12);
            Assert.Equal(0, categorical.Score(f.detach(), y).reshape(-1, 4)[1].abs().sum().ToDouble());
            Assert.Equal(0, categorical.HessianProduct(f.detach(), y, ones_like(f)).reshape(-1, 4)[1].abs().sum().ToDouble());
            Assert.Equal(
                f.detach().argmax(-1).eq(y).sum().ToDouble() / counted,
                Metric.Accuracy.Sum(f.detach(), y).ToDouble() / Metric.Accuracy.Count!(f.detach(), y),
                1e-12
            );
        }
        var none = full([9], -100, dtype: ScalarType.Int64);
        Assert.True(double.IsNaN(categorical.Loss(randn(9, 4), none).ToDouble()));
        Assert.Equal(0, categorical.Score(randn(9, 4), none).abs().sum().ToDouble());
        Assert.Equal(
            categorical.BestConstant(tensor(new long[] { 0, 1, 1 })),
            categorical.BestConstant(tensor(new long[] { 0, -100, 1, 1, -100 }))
        );
    }

    [Fact]
    public void Curvature_leaves_ignored_examples_out()
    {
        var (model, x, y, rows) = Ignoring();
        Objective with = new(model, new Categorical(), [(x, y)]),
            without = new(model, new Categorical(), [(x.index_select(0, rows), y.index_select(0, rows))]);
        Assert.Equal(without.Loss(), with.Loss(), 1e-12);
        Near(without.Gradient().Gradient, with.Gradient().Gradient, 1e-12);
        Near(new Hessian(without).ToDense(), new Hessian(with).ToDense(), 1e-12);
        Near(new GaussNewton(without).ToDense(), new GaussNewton(with).ToDense(), 1e-12);
        foreach (var kind in new[] { FisherKind.Exact, FisherKind.Empirical })
        {
            Near(new Fisher(without, kind).ToDense(), new Fisher(with, kind).ToDense(), 1e-12);
            using KroneckerFactored expected = new(without, kind),
                actual = new(with, kind);
            foreach (var (e, a) in expected.Factors.Zip(actual.Factors))
            {
                Near(e.A, a.A, 1e-12);
                Near(e.G, a.G, 1e-12);
            }
        }
        foreach (var kind in new[] { FisherKind.MonteCarlo, FisherKind.CurvaturePropagation }) // draws differ: the mean of many does not
            Near(new Fisher(without).ToDense(), new Fisher(with, kind, 4000).ToDense(), 0.02);
    }

    [Theory, InlineData(LinearSolverKind.Gram), InlineData(LinearSolverKind.Normal), InlineData(LinearSolverKind.ConjugateGradient)]
    public void The_natural_gradient_leaves_ignored_examples_out(LinearSolverKind kind)
    {
        var ends = new List<double[]>();
        var reports = new List<StepReport>();
        foreach (bool ignoring in new[] { true, false })
        {
            var (model, x, y, rows) = Ignoring();
            using var optimizer = new NaturalGradient(
                model,
                new Categorical(),
                new()
                {
                    Solver = SecondOrderCases.Solver(kind, 1e-12),
                    KlRadius = 1e-3,
                    Damping = 0.1,
                }
            );
            reports.Add(ignoring ? optimizer.StepOnBatch(x, y) : optimizer.StepOnBatch(x.index_select(0, rows), y.index_select(0, rows)));
            ends.Add(Problem.Values(model.parameters()));
        }
        Trajectory.Near(ends[1], ends[0], 1e-9);
        Assert.Equal(reports[1].AchievedKl!.Value, reports[0].AchievedKl!.Value, 1e-9);
    }

    [Theory, InlineData(FisherKind.Exact), InlineData(FisherKind.Empirical)]
    public void Kfac_that_is_shown_the_labels_leaves_ignored_examples_out(FisherKind kind)
    {
        var ends = new List<double[]>();
        foreach (bool ignoring in new[] { true, false })
        {
            var (model, x, y, rows) = Ignoring();
            if (!ignoring)
                (x, y) = (x.index_select(0, rows), y.index_select(0, rows));
            using var optimizer = new Kfac(
                model,
                new()
                {
                    Curvature = new()
                    {
                        Fisher = FisherOptions.Of(kind),
                        Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                    },
                },
                new Categorical()
            );
            for (int i = 0; i < 3; i++)
            {
                optimizer.zero_grad();
                optimizer.UpdateCurvature(x, y);
                nn.functional.cross_entropy(model.call(x), y).backward();
                optimizer.step();
            }
            Assert.DoesNotContain(optimizer.Events, e => e.Message.Contains("leaves positions out", StringComparison.Ordinal));
            ends.Add(Problem.Values(model.parameters()));
        }
        Trajectory.Near(ends[1], ends[0], 1e-10);
    }

    [Fact]
    public void Kfac_that_is_not_shown_ignored_labels_reports_it()
    {
        var (model, x, y, _) = Ignoring();
        using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }, new Categorical());
        for (int i = 0; i < 3; i++)
        {
            optimizer.zero_grad();
            nn.functional.cross_entropy(model.call(x), y).backward();
            optimizer.step();
        }
        Assert.Single(optimizer.Events, e => e.Message.Contains("leaves positions out", StringComparison.Ordinal));
    }

    [Fact]
    public void Kfac_that_evaluates_the_loss_leaves_ignored_examples_out()
    {
        var ends = new List<double[]>();
        foreach (bool ignoring in new[] { true, false })
        {
            var (model, x, y, rows) = Ignoring();
            if (!ignoring)
                (x, y) = (x.index_select(0, rows), y.index_select(0, rows));
            using var optimizer = new Kfac(
                model,
                new()
                {
                    StepRejection = true,
                    Step = new QuadraticStep { BatchSize = null, AdaptiveDamping = new() },
                    Curvature = new()
                    {
                        Fisher = new FisherOptions.Exact(),
                        Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                    },
                },
                new Categorical()
            );
            for (int i = 0; i < 3; i++)
                optimizer.StepOnBatch(x, y);
            ends.Add(Problem.Values(model.parameters()));
        }
        Trajectory.Near(ends[1], ends[0], 1e-9);
    }
}
