using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Adafactor.</summary>
public sealed class AdafactorTests
{
    [Fact]
    public void Each_option_of_Adafactor_changes_the_trajectory() =>
        AllDiffer(
            g => new Adafactor(g),
            new Adafactor.Options(),
            new() { LearningRate = 0.1 },
            new() { Maximize = true },
            new() { DecayPower = 0.5 },
            new() { Epsilon = 0.5 },
            new() { MinScale = 10 },
            new() { ClipThreshold = 0.5 },
            new() { WeightDecay = 0.1 }
        );

    /// <summary>A matrix and a vector in plain arrays, with gradients above and below ε₁.</summary>
    [
        Theory,
        InlineData(0.8, 1.0, null),
        InlineData(0.5, 1.0, null),
        InlineData(1.0, 1.0, 0.5),
        InlineData(0.6, 1e-4, 1e-3),
        InlineData(0.6, 1e-4, null),
        InlineData(0.6, 1e-20, null)
    ]
    public void Adafactor_follows_its_equations(double power, double size, double? epsilon)
    {
        const int Rows = 6,
            Columns = 5;
        const double Rate = 0.05,
            Decay = 0.1;
        double least = epsilon ?? double.BitIncrement(1) - 1;
        var p = Problem.Parameters(Shapes, ScalarType.Float64);
        double[] w = Problem.Values([p[0]]),
            b = Problem.Values([p[1]]),
            rows = new double[Rows],
            columns = new double[Columns],
            own = new double[7];
        using var o = new Adafactor([
            ParameterGroup.Of(
                p,
                new Adafactor.Options()
                {
                    LearningRate = Rate,
                    DecayPower = power,
                    Epsilon = epsilon,
                    WeightDecay = Decay,
                }
            ),
        ]);
        for (int t = 1; t <= 8; t++)
        {
            Problem.SetGradients(p, t);
            using (no_grad())
                foreach (var x in p)
                    x.grad!.mul_(size);
            double[] g = Problem.Values([p[0].grad!]),
                h = Problem.Values([p[1].grad!]);
            double share = Math.Pow(t, -power);
            for (int i = 0; i < Rows; i++)
                rows[i] += share * (Enumerable.Range(0, Columns).Average(k => g[i * Columns + k] * g[i * Columns + k]) - rows[i]);
            for (int k = 0; k < Columns; k++)
                columns[k] += share * (Enumerable.Range(0, Rows).Average(i => g[i * Columns + k] * g[i * Columns + k]) - columns[k]);
            for (int i = 0; i < 7; i++)
                own[i] += share * (h[i] * h[i] - own[i]);
            double mean = Math.Max(least, rows.Average());
            Move(w, [.. g.Select((x, i) => x / Math.Max(least, Math.Sqrt(rows[i / Columns] * columns[i % Columns] / mean)))], t);
            Move(b, [.. h.Select((x, i) => x / Math.Max(least, Math.Sqrt(own[i])))], t);
            o.step();
            Near([.. w, .. b], Problem.Values(p), 1e-12);
        }

        static void Move(double[] w, double[] u, int t)
        {
            double scale = Math.Max(1e-3, Rms(w)) * Math.Min(Rate, 1 / Math.Sqrt(t)) / Math.Max(1, Rms(u));
            for (int i = 0; i < w.Length; i++)
                w[i] -= Rate * Decay * w[i] + scale * u[i];
        }
        static double Rms(double[] x) => Math.Sqrt(x.Average(e => e * e));
    }

    [Fact]
    public void Adafactor_of_rank_one_squares_is_the_whole_second_moment()
    {
        using var scope = NewDisposeScope();
        var a = tensor(new double[] { 1, 2, 3 });
        var b = tensor(new double[] { 0.5, -2 });
        var w = nn.Parameter(ones(3, 2, dtype: ScalarType.Float64));
        w.grad = a.outer(b);
        using var o = new Adafactor([ParameterGroup.Of([w], new Adafactor.Options())]);
        o.step();
        Near(Problem.Values([1 - 0.01 * b.sign().expand(3, 2)]), Problem.Values([w]), 1e-12); // u = sign(g), RMS(w) = 1
        Assert.Equal(5 * sizeof(double), o.StateBytes);
    }
}
