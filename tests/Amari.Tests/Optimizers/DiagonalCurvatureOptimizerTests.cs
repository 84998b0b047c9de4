using Amari.Cli.Commands;
using Amari.Spectrum;
using Amari.Training;
using Amari.Verification;
using static Amari.Tests.Optimizers.DiagonalCurvatureCases;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>What Sophia and AdaHessian have in common: the estimates, and when they are made.</summary>
public sealed class DiagonalCurvatureOptimizerTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>For f = W x + b and softmax, the Fisher's diagonal is mean p (1 - p) x²: and so is the Hessian's.</summary>
    [Theory, InlineData(DiagonalEstimate.GaussNewtonBartlett), InlineData(DiagonalEstimate.Hutchinson)]
    public void Estimates_are_unbiased(DiagonalEstimate estimate)
    {
        const int Estimates = 400;
        var model = SecondOrder.SecondOrderCases.Convex().to(ScalarType.Float64);
        var (x, y) = SecondOrder.SecondOrderCases.Batch(5, ScalarType.Float64);
        double[] expected;
        using (no_grad())
        {
            var p = model.call(x).softmax(-1);
            var weight = p * (1 - p) / x.shape[0];
            expected = Problem.Values([weight.T.mm(x.square()), weight.sum(dim: 0)]);
        }
        var (sum, squares) = (new double[expected.Length], new double[expected.Length]);
        for (int seed = 0; seed < Estimates; seed++)
        {
            using var o = new Sophia(
                model,
                new Categorical(),
                new()
                {
                    Beta2 = 0,
                    Estimate = estimate,
                    Seed = seed,
                }
            );
            o.UpdateCurvature(x, y);
            var h = o.Snapshot().Tensors;
            double[] values = Problem.Values([h["a.weight.Curvature"], h["a.bias.Curvature"]]);
            for (int i = 0; i < sum.Length; i++)
                (sum[i], squares[i]) = (sum[i] + values[i], squares[i] + values[i] * values[i]);
        }
        for (int i = 0; i < sum.Length; i++)
        {
            double mean = sum[i] / Estimates,
                error = Math.Sqrt((squares[i] / Estimates - mean * mean) / Estimates);
            Assert.InRange(mean, expected[i] - 3 * error, expected[i] + 3 * error);
        }
    }

    [Fact]
    public void Each_option_changes_the_trajectory()
    {
        double[] Run<T>(Func<nn.Module<Tensor, Tensor>, T, Optimizer> make, T options)
        {
            manual_seed(21);
            var model = nn.Sequential(("c", nn.Conv2d(1, 2, 2)), ("f", nn.Flatten()), ("t", nn.Tanh()), ("a", nn.Linear(8, 3)))
                .to(ScalarType.Float64);
            using var generator = new Generator(5);
            var (x, y) = (
                randn([12, 1, 3, 3], generator: generator).to_type(ScalarType.Float64),
                randint(0, 3, [12], generator: generator)
            );
            using var o = make(model, options);
            for (int i = 0; i < 6; i++)
                Step(o, model, new Categorical(), x, y);
            return Problem.Values(model.parameters());
        }
        void AllDiffer<T>(Func<nn.Module<Tensor, Tensor>, T, Optimizer> make, params T[] options)
            where T : OptimizerOptions
        {
            Complete(options);
            var runs = options.Select(o => Run(make, o)).ToList();
            for (int i = 0; i < runs.Count; i++)
            for (int k = 0; k < i; k++)
                Assert.True(!runs[k].SequenceEqual(runs[i]), $"{k} and {i} agree");
        }
        Sophia.Options s = new() { Interval = 2, Gamma = 5 };
        AllDiffer(
            (m, o) => new Sophia(m, new Categorical(), o),
            s,
            s with
            {
                LearningRate = 0.1,
            },
            s with
            {
                Estimate = DiagonalEstimate.Hutchinson,
            },
            s with
            {
                Interval = 3,
            },
            s with
            {
                Samples = 2,
            },
            s with
            {
                Seed = 7,
            },
            s with
            {
                Beta1 = 0.5,
            },
            s with
            {
                Beta2 = 0.5,
            },
            s with
            {
                Gamma = 9,
            },
            s with
            {
                Clip = 0.3,
            },
            s with
            {
                Epsilon = 0.1,
            },
            s with
            {
                WeightDecay = 0.5,
            }
        );
        AdaHessian.Options a = new() { Interval = 2 };
        AllDiffer(
            (m, o) => new AdaHessian(m, new Categorical(), o),
            a,
            a with
            {
                LearningRate = 0.01,
            },
            a with
            {
                Estimate = DiagonalEstimate.GaussNewtonBartlett,
            },
            a with
            {
                Interval = 3,
            },
            a with
            {
                Samples = 2,
            },
            a with
            {
                Seed = 7,
            },
            a with
            {
                Beta1 = 0.5,
            },
            a with
            {
                Beta2 = 0.5,
            },
            a with
            {
                HessianPower = 0.5,
            },
            a with
            {
                SpatialAveraging = false,
            },
            a with
            {
                BlockLength = 2,
            },
            a with
            {
                Epsilon = 0.1,
            },
            a with
            {
                WeightDecay = 0.5,
            }
        );
    }

    [Fact]
    public void It_measures_every_interval_and_reports_a_missed_one()
    {
        var (model, x, y, _) = Quadratic();
        using var o = new Sophia(model, new Gaussian(), new() { Interval = 3, Beta2 = 0.5 });
        foreach (var p in model.parameters())
            p.grad = ones_like(p);
        Assert.Contains(
            "a.weight was never measured",
            Assert.Throws<InvalidOperationException>(() => o.step()).Message,
            StringComparison.Ordinal
        );
        double Curvature() => o.Snapshot().Tensors["a.weight.Curvature"].mean().ToDouble();
        var seen = new List<double>();
        for (int i = 0; i < 6; i++)
        {
            o.UpdateCurvature(x, y);
            seen.Add(Curvature());
            o.step();
        }
        Assert.Equal(2, seen.Distinct().Count());
        Assert.Equal(seen[0], seen[2]);
        Assert.NotEqual(seen[2], seen[3]);
        Assert.Empty(o.Events);
        o.step(); // due, and not shown
        Assert.Contains("was due", Assert.Single(o.Events).Message, StringComparison.Ordinal);
        o.UpdateCurvature([full(3, 1, double.NaN, dtype: ScalarType.Float64)]);
        Assert.Equal(seen[5], Curvature());
        Assert.Contains("not finite", o.Events[1].Message, StringComparison.Ordinal);
    }

    public static TheoryData<bool> Methods => [true, false];

    private static Optimizer Make(bool sophia, nn.Module<Tensor, Tensor> model) =>
        sophia ? new Sophia(model, new Gaussian()) : new AdaHessian(model, new Gaussian());

    [Theory, MemberData(nameof(Methods))]
    public void A_step_is_refused_until_every_estimate_was_finite_once(bool sophia)
    {
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(2, 3))).to(ScalarType.Float64);
        using var o = Make(sophia, model);
        void Observe(double weight, double bias)
        {
            Tensor[] diagonal = [full(3, 2, weight, dtype: ScalarType.Float64), full(3, bias, dtype: ScalarType.Float64)];
            if (o is Sophia s)
                s.UpdateCurvature(diagonal);
            else
                ((AdaHessian)o).UpdateCurvature(diagonal);
        }
        foreach (var p in model.parameters())
            p.grad = ones_like(p);
        var before = Problem.Values(model.parameters());
        Observe(1, double.NaN);
        Assert.Contains(
            "a.bias was never measured",
            Assert.Throws<InvalidOperationException>(() => o.step()).Message,
            StringComparison.Ordinal
        );
        Assert.Equal(before, Problem.Values(model.parameters()));
        Observe(double.PositiveInfinity, 1); // the weight has its first one
        o.step();
        Assert.NotEqual(before, Problem.Values(model.parameters()));
        Assert.Equal(["a.bias", "a.weight"], o.Events.Select(e => e.Subject).Where(s => s != "all"));

        using var next = Make(sophia, model);
        next.Restore(o.Snapshot());
        next.step(); // what was measured is known again
        using var unmeasured = Make(sophia, model);
        next.Restore(unmeasured.Snapshot());
        Assert.Throws<InvalidOperationException>(() => next.step());
    }

    [Theory, MemberData(nameof(Methods))]
    public void An_observation_that_fails_is_none(bool sophia)
    {
        var (model, x, y, _) = Quadratic();
        using var o = Make(sophia, model);
        foreach (var p in model.parameters())
            p.grad = ones_like(p);
        Assert.ThrowsAny<Exception>(() => o.UpdateCurvature(zeros(20, 4, dtype: ScalarType.Float64), y)); // the layer takes one input
        Assert.Contains(
            "a.weight was never measured",
            Assert.Throws<InvalidOperationException>(() => o.step()).Message,
            StringComparison.Ordinal
        );
        o.UpdateCurvature(x, y);
        o.step();
        Assert.Empty(o.Events);
    }

    /// <summary>There are no targets to draw from an output that is not finite.</summary>
    [Theory]
    [InlineData(true, double.NaN), InlineData(true, double.PositiveInfinity), InlineData(false, double.NaN)]
    public void A_batch_that_is_not_finite_leaves_the_estimate(bool sophia, double value)
    {
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(2, 3)));
        var options = DiagonalEstimate.GaussNewtonBartlett;
        using Optimizer o = sophia
            ? new Sophia(model, new Categorical(), new() { Interval = 1, Estimate = options })
            : new AdaHessian(model, new Categorical(), new() { Interval = 1, Estimate = options });
        var (x, y) = (randn(8, 2), zeros(8, dtype: ScalarType.Int64));
        foreach (var p in model.parameters())
            p.grad = ones_like(p);
        o.UpdateCurvature(x, y);
        o.step();
        string Curvature() =>
            string.Join(
                ' ',
                Problem.Values(o.Snapshot().Tensors.Where(t => !t.Key.Contains("Moment", StringComparison.Ordinal)).Select(t => t.Value))
            );
        string before = Curvature();
        x[5].fill_(value);
        o.UpdateCurvature(x, y);
        Assert.Equal(before, Curvature());
        Assert.Contains(
            "was not finite and was not used",
            Assert.Single(o.Events, e => e.Subject == "a.weight").Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Wrong_use_is_refused_in_one_sentence()
    {
        var (model, x, y, _) = Quadratic();
        using var o = new AdaHessian([ParameterGroup.Of(model, new AdaHessian.Options())]);
        Assert.Contains(
            "UpdateCurvature(diagonal)",
            Assert.Throws<InvalidOperationException>(() => o.UpdateCurvature(x, y)).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => o.UpdateCurvature([ones(2)]));
        Assert.Throws<ArgumentException>(() => o.UpdateCurvature([]));
    }

    [Fact]
    public void Each_group_is_measured_under_its_own_options()
    {
        var model = SecondOrder.SecondOrderCases.Convex();
        var (x, y) = SecondOrder.SecondOrderCases.Batch(1);
        var (w, b) = (model.named_parameters().First(), model.named_parameters().Last());
        using var o = new Sophia(
            [new([w], new() { Interval = 2, Beta2 = 0.5 }), new([b], new() { Interval = 1, Beta2 = 0.5 })],
            model,
            new Categorical()
        );
        var (first, second) = (new List<double>(), new List<double>());
        for (int i = 0; i < 4; i++)
        {
            Step(o, model, new Categorical(), x, y);
            first.Add(o.Snapshot().Tensors["a.weight.Curvature"].sum().ToDouble());
            second.Add(o.Snapshot().Tensors["a.bias.Curvature"].sum().ToDouble());
        }
        Assert.Equal(2, first.Distinct().Count());
        Assert.Equal(4, second.Distinct().Count());
    }
}
