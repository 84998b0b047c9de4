using Amari.Cli.Commands;
using Amari.Spectrum;
using Amari.Training;
using Amari.Verification;
using static Amari.Tests.Optimizers.DiagonalCurvatureCases;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>AdaHessian against derivations by hand, and at degenerate settings.</summary>
public sealed class AdaHessianTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

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
}
