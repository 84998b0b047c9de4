using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>LAMB.</summary>
public sealed class LambTests
{
    [Fact]
    public void Each_option_of_Lamb_changes_the_trajectory() =>
        AllDiffer(
            g => new Lamb(g),
            new Lamb.Options(),
            new() { LearningRate = 0.1 },
            new() { Maximize = true },
            new() { Beta1 = 0.5 },
            new() { Beta2 = 0.5 },
            new() { Epsilon = 0.1 },
            new() { WeightDecay = 0.1 },
            new() { DecoupledDecay = true },
            new() { BiasCorrection = false },
            new() { MaxWeightNorm = 0.5 }
        );

    /// <summary>Algorithm 2 in plain arrays: m̂, v̂, the decay inside the norm, and φ bounded, for the weights are longer than the bound
    /// all the time.</summary>
    [Fact]
    public void Lamb_follows_its_equations()
    {
        const double Rate = 0.05,
            Decay = 0.3,
            Beta1 = 0.8,
            Beta2 = 0.95,
            Epsilon = 1e-3,
            Bound = 1.5;
        var p = Problem.Parameters(Shapes, ScalarType.Float64);
        double[][] w = [.. p.Select(x => Problem.Values([x]))],
            m = [.. w.Select(x => new double[x.Length])],
            v = [.. w.Select(x => new double[x.Length])];
        using var o = new Lamb([
            ParameterGroup.Of(
                p,
                new Lamb.Options()
                {
                    LearningRate = Rate,
                    WeightDecay = Decay,
                    Beta1 = Beta1,
                    Beta2 = Beta2,
                    Epsilon = Epsilon,
                    MaxWeightNorm = Bound,
                }
            ),
        ]);
        for (int t = 1; t <= 12; t++)
        {
            Problem.SetGradients(p, t);
            for (int k = 0; k < p.Length; k++)
            {
                double[] g = Problem.Values([p[k].grad!]),
                    u = new double[g.Length];
                for (int i = 0; i < g.Length; i++)
                {
                    (m[k][i], v[k][i]) = (Beta1 * m[k][i] + (1 - Beta1) * g[i], Beta2 * v[k][i] + (1 - Beta2) * g[i] * g[i]);
                    u[i] = m[k][i] / (1 - Math.Pow(Beta1, t)) / (Math.Sqrt(v[k][i] / (1 - Math.Pow(Beta2, t))) + Epsilon) + Decay * w[k][i];
                }
                Assert.True(Norm(w[k]) > Bound);
                for (int i = 0; i < g.Length; i++)
                    w[k][i] -= Rate * Bound / Norm(u) * u[i];
            }
            o.step();
            Near([.. w.SelectMany(x => x)], Problem.Values(p), 1e-12);
        }

        static double Norm(double[] x) => Math.Sqrt(x.Sum(e => e * e));
    }

    [Fact]
    public void Lamb_moves_a_layer_by_a_share_of_its_norm()
    {
        var p = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        using var before = p[0].detach().clone();
        Problem.SetGradients(p, 1);
        using var o = new Lamb([ParameterGroup.Of(p, new Lamb.Options() { LearningRate = 0.01 })]);
        o.step();
        using var moved = (p[0] - before).norm();
        using var norm = before.norm();
        Assert.Equal(0.01 * norm.ToDouble(), moved.ToDouble(), 1e-12);
    }
}
