using Amari.Cli.Commands;
using Amari.Spectrum;
using Amari.Training;
using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Sophia and AdaHessian: the estimates against closed forms, degenerate settings, when they measure.</summary>
public sealed class DiagonalCurvatureTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>y = w x for three outputs: the Hessian is diagonal, the minimum Σ x y / Σ x².</summary>
    private static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y, double[] Minimum) Quadratic()
    {
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(1, 3, hasBias: false))).to(ScalarType.Float64);
        var (x, y) = (randn([20, 1], dtype: ScalarType.Float64), randn([20, 3], dtype: ScalarType.Float64));
        return (model, x, y, Problem.Values([(x * y).sum(dim: 0) / x.square().sum()]));
    }

    private static void Step(Optimizer optimizer, nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        optimizer.UpdateCurvature(x, y);
        optimizer.zero_grad();
        likelihood.Loss(model.call(x), y).backward();
        optimizer.step();
    }

    [Fact]
    public void Sophia_without_clipping_is_diagonal_Newton()
    {
        var (model, x, y, minimum) = Quadratic();
        using var o = new Sophia(
            model,
            new Gaussian(),
            new()
            {
                LearningRate = 1,
                Beta1 = 0,
                Beta2 = 0,
                Gamma = 1,
                Clip = null,
                WeightDecay = 0,
                Estimate = DiagonalEstimate.Hutchinson,
            }
        );
        Step(o, model, new Gaussian(), x, y);
        Near(minimum, Problem.Values(model.parameters()), 1e-12);
        Assert.Equal(0, o.ClippedShare());
    }

    [Fact]
    public void AdaHessian_s_first_step_is_diagonal_Newton_whatever_the_decays()
    {
        var (model, x, y, minimum) = Quadratic();
        using var o = new AdaHessian(model, new Gaussian(), new() { LearningRate = 1, Epsilon = 1e-15 });
        Step(o, model, new Gaussian(), x, y);
        Near(minimum, Problem.Values(model.parameters()), 1e-12);
    }

    /// <summary>f = w x, entry by entry: H = diag(mean x²), different in each.</summary>
    private sealed class Scales : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter w;

        public Scales(params double[] start)
            : base(nameof(Scales))
        {
            w = nn.Parameter(tensor(start));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => x * w;
    }

    /// <summary>Where H is diagonal, z ∘ H z is it: for p = 1 it leaves the distance e = w - w* in every entry, whose steps are then those
    /// of momentum on ½ e², whatever β₂. By hand for η = 1/10, β₁ = 9/10: m̂₂ = (9 e₀ + 10 e₁) / 19, so e = 1, 9/10, 153/190; m̂₃ = (81 e₀
    /// + 90 e₁ + 100 e₂) / 271.</summary>
    [Theory, InlineData(0.999, 1), InlineData(0.5, 1), InlineData(0, 2)]
    public void AdaHessian_on_a_quadratic_goes_as_on_paper(double beta2, int interval)
    {
        double[] distances = [1, 9.0 / 10, 153.0 / 190, 153.0 / 190 - (81 + 81 + 15300.0 / 190) / 2710];
        double[] start = [1, -2, 0.5];
        var model = new Scales(start);
        var x = tensor(
            new double[,]
            {
                { 1, 0.1, 20 },
                { -2, 0.3, 10 },
                { 0.5, 0.2, -30 },
            }
        );
        var y = x * tensor(new double[] { 3, 4, -5 }); // w* = (3, 4, -5), and no residual there
        using var o = new AdaHessian(
            model,
            new Gaussian(),
            new()
            {
                LearningRate = 0.1,
                Epsilon = 1e-15,
                Beta2 = beta2,
                Interval = interval,
            }
        );
        for (int t = 1; t < distances.Length; t++)
        {
            Step(o, model, new Gaussian(), x, y);
            Near(
                [.. start.Zip(new double[] { 3, 4, -5 }, (a, b) => b + (a - b) * distances[t])],
                Problem.Values(model.parameters()),
                1e-12
            );
        }
    }

    /// <summary>Batches whose curvature changes, every option, in plain arrays. Each image has one bright pixel, so that a kernel as large
    /// as the image has a diagonal H.</summary>
    [Theory, InlineData(true, 1), InlineData(false, 1), InlineData(true, 0.5)]
    public void AdaHessian_follows_a_derivation_in_plain_arrays(bool spatial, double power)
    {
        const int Out = 2,
            Pixels = 4,
            Examples = 7;
        const double Rate = 0.05,
            Decay = 0.1,
            Epsilon = 1e-3,
            Beta1 = 0.8,
            Beta2 = 0.7;
        manual_seed(9);
        var model = nn.Sequential(("c", nn.Conv2d(1, Out, 2, bias: false)), ("f", nn.Flatten())).to(ScalarType.Float64);
        using var o = new AdaHessian(
            model,
            new Gaussian(2),
            new()
            {
                LearningRate = Rate,
                WeightDecay = Decay,
                Epsilon = Epsilon,
                Beta1 = Beta1,
                Beta2 = Beta2,
                HessianPower = power,
                SpatialAveraging = spatial,
                Interval = 2,
            }
        );
        double[] w = Problem.Values(model.parameters()),
            m = new double[w.Length],
            v = new double[w.Length];
        var random = new Random(4);
        for (int t = 1, n = 0; t <= 8; t++)
        {
            var (light, target) = (new double[Examples * Pixels], new double[Examples * Out]);
            var (g, h) = (new double[w.Length], new double[w.Length]);
            for (int e = 0; e < Examples; e++)
            {
                int pixel = random.Next(Pixels);
                double a = light[e * Pixels + pixel] = random.NextDouble() * 3;
                for (int c = 0; c < Out; c++)
                {
                    double y = target[e * Out + c] = random.NextDouble();
                    g[c * Pixels + pixel] += (w[c * Pixels + pixel] * a - y) * a / 2 / Examples;
                    h[c * Pixels + pixel] += a * a / 2 / Examples;
                }
            }
            if (t % 2 == 1)
            {
                n++;
                for (int i = 0; i < w.Length; i++)
                {
                    double d = spatial ? Enumerable.Range(i / Pixels * Pixels, Pixels).Average(k => h[k]) : h[i];
                    v[i] = Beta2 * v[i] + (1 - Beta2) * d * d;
                }
            }
            for (int i = 0; i < w.Length; i++)
            {
                m[i] = Beta1 * m[i] + (1 - Beta1) * g[i];
                double curvature = Math.Pow(v[i] / (1 - Math.Pow(Beta2, n)), power / 2) + Epsilon;
                w[i] -= Rate * (Decay * w[i] + m[i] / (1 - Math.Pow(Beta1, t)) / curvature);
            }
            Step(o, model, new Gaussian(2), tensor(light, [Examples, 1, 2, 2]), tensor(target, [Examples, Out]));
            Near(w, Problem.Values(model.parameters()), 1e-12);
        }
    }

    [Fact]
    public void Sophia_whose_every_entry_is_clipped_is_a_step_of_signs()
    {
        var p = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        var before = p[0].detach().clone();
        using var o = new Sophia([ParameterGroup.Of(p, new Sophia.Options() { LearningRate = 0.01, WeightDecay = 0 })]);
        o.UpdateCurvature([-ones_like(p[0])]); // negative curvature
        Problem.SetGradients(p, 1);
        Assert.True(double.IsNaN(o.ClippedShare()));
        o.step();
        Near(Problem.Values([before - 0.01 * p[0].grad!.sign()]), Problem.Values(p), 1e-12);
        Assert.Equal(1, o.ClippedShare());
    }

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

    /// <summary>Algorithm 1 of the paper, number by number, for given diagonals; every second step has a new one.</summary>
    [Theory, InlineData(1), InlineData(0.5), InlineData(0)]
    public void AdaHessian_follows_its_equations(double power)
    {
        const double Rate = 0.05,
            Decay = 0.1,
            Epsilon = 1e-4;
        var p = Problem.Parameters(
            [
                [2, 3, 2, 2],
            ],
            ScalarType.Float64
        );
        double[] w = Problem.Values(p),
            m = new double[24],
            v = new double[24];
        using var o = new AdaHessian([
            ParameterGroup.Of(
                p,
                new AdaHessian.Options()
                {
                    LearningRate = Rate,
                    HessianPower = power,
                    WeightDecay = Decay,
                    Beta2 = 0.9,
                }
            ),
        ]);
        for (int t = 1, n = 0; t <= 10; t++)
        {
            if (t % 2 == 1)
            {
                var diagonal = Problem
                    .Parameters(
                        [
                            [2, 3, 2, 2],
                        ],
                        ScalarType.Float64,
                        seed: 100 + t
                    )[0]
                    .detach();
                o.UpdateCurvature([diagonal]);
                double[] d = Problem.Values([diagonal]);
                for (int i = 0; i < 24; i++)
                    v[i] = 0.9 * v[i] + 0.1 * Math.Pow(Enumerable.Range(i / 4 * 4, 4).Average(k => Math.Abs(d[k])), 2);
                n++;
            }
            Problem.SetGradients(p, t);
            double[] g = Problem.Values([p[0].grad!]);
            o.step();
            for (int i = 0; i < 24; i++)
            {
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                double curvature = Math.Pow(Math.Sqrt(v[i] / (1 - Math.Pow(0.9, n))), power) + Epsilon;
                w[i] = (1 - Rate * Decay) * w[i] - Rate * m[i] / (1 - Math.Pow(0.9, t)) / curvature;
            }
        }
        Near(w, Problem.Values(p), 1e-12);
    }

    /// <summary>Blocks of three inputs side by side, and what is left of a row: 3 + 3 + 1.</summary>
    [Fact]
    public void AdaHessian_averages_matrices_over_blocks_of_each_row()
    {
        const int Rows = 4,
            Columns = 7;
        const double Rate = 0.05,
            Epsilon = 1e-3;
        var p = Problem.Parameters(
            [
                [Rows, Columns],
                [Columns],
            ],
            ScalarType.Float64
        );
        double[] w = Problem.Values(p),
            m = new double[w.Length],
            v = new double[w.Length];
        using var o = new AdaHessian([
            ParameterGroup.Of(
                p,
                new AdaHessian.Options()
                {
                    LearningRate = Rate,
                    Epsilon = Epsilon,
                    Beta2 = 0.9,
                    BlockLength = 3,
                }
            ),
        ]);
        for (int t = 1; t <= 5; t++)
        {
            var diagonal = Problem
                .Parameters(
                    [
                        [Rows, Columns],
                        [Columns],
                    ],
                    ScalarType.Float64,
                    seed: 100 + t
                )
                .Select(x => x.detach())
                .ToList();
            o.UpdateCurvature(diagonal);
            double[] d = [.. Problem.Values(diagonal).Select(Math.Abs)];
            Problem.SetGradients(p, t);
            double[] g = Problem.Values(p.Select(x => x.grad!));
            o.step();
            for (int i = 0; i < w.Length; i++)
            {
                int row = i / Columns * Columns,
                    first = (i - row) / 3 * 3,
                    length = Math.Min(3, Columns - first);
                // a vector's entries stay apart
                double mean = i < Rows * Columns ? Enumerable.Range(row + first, length).Average(k => d[k]) : d[i];
                v[i] = 0.9 * v[i] + 0.1 * mean * mean;
                m[i] = 0.9 * m[i] + 0.1 * g[i];
                w[i] -= Rate * m[i] / (1 - Math.Pow(0.9, t)) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.9, t))) + Epsilon);
            }
        }
        Near(w, Problem.Values(p), 1e-12);
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
    public void It_measures_every_interval_refuses_a_step_without_and_tells_a_missed_one()
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
    public void Wrong_use_is_told_in_one_sentence()
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
