using Amari.Tests.Contracts;
using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>SGD: its momentum and its decay.</summary>
public sealed class SgdTests
{
    /// <summary>A buffer begins at the first gradient with a momentum, rests while there is none, and goes on.</summary>
    [Fact]
    public void A_momentum_that_changes_takes_effect_as_in_torch()
    {
        double[][] schedules =
        [
            [0, 0, 0.9, 0.9, 0.9, 0.9],
            [0.9, 0.9, 0, 0, 0.9, 0.9],
            [0, 0.5, 0, 0.9, 0, 0.7],
            [0.9, 0.1, 0.5],
        ];
        foreach (double dampening in (double[])[0, 0.4])
        foreach (double[] momenta in schedules)
        foreach (
            var (type, fused, tolerance) in new[]
            {
                (ScalarType.Float64, true, 1e-12),
                (ScalarType.Float32, true, 2e-6),
                (ScalarType.Float32, false, 2e-6),
            }
        )
            TorchOracleTests.Same(
                p => new Sgd([
                    ParameterGroup.Of(
                        p,
                        new Sgd.Options
                        {
                            LearningRate = 0.05,
                            Momentum = momenta[0],
                            Dampening = dampening,
                        }
                    ),
                ])
                {
                    Fused = fused,
                },
                p => optim.SGD(p, 0.05, momentum: momenta[0], dampening: dampening),
                (a, b, step) =>
                {
                    double momentum = momenta[step / 3 % momenta.Length];
                    ((Sgd)a).Groups[0].Momentum = momentum;
                    ((optim.IMomentum)b.ParamGroups.Single()).Momentum = momentum;
                },
                type,
                tolerance
            );
    }

    /// <summary>SGDW (Loshchilov and Hutter 2019, Algorithm 1), by hand in float64; an ascent decays all the same.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void A_decoupled_decay_stays_out_of_the_momentum(bool fused)
    {
        foreach (var (nesterov, maximize) in new[] { (false, false), (true, false), (false, true) })
        foreach (var type in (ScalarType[])[ScalarType.Float64, ScalarType.Float32])
        {
            var p = Problem.Parameters(
                [
                    [40],
                ],
                type
            );
            using var o = new Sgd([
                ParameterGroup.Of(
                    p,
                    new Sgd.Options
                    {
                        LearningRate = 0.05,
                        WeightDecay = 0.2,
                        DecoupledDecay = true,
                        Nesterov = nesterov,
                        Maximize = maximize,
                    }
                ),
            ])
            {
                Fused = fused,
            };
            double[] w = Problem.Values(p),
                b = new double[w.Length];
            for (int step = 0; step < 20; step++)
            {
                Problem.SetGradients(p, step);
                double[] g = Problem.Values([p[0].grad!]);
                o.step();
                for (int i = 0; i < w.Length; i++)
                {
                    double gradient = maximize ? -g[i] : g[i];
                    b[i] = 0.9 * b[i] + gradient;
                    w[i] = (1 - 0.05 * 0.2) * w[i] - 0.05 * (nesterov ? gradient + 0.9 * b[i] : b[i]);
                }
            }
            Trajectory.Near(w, Problem.Values(p), type == ScalarType.Float64 ? 1e-12 : 5e-6);
        }
    }
}
