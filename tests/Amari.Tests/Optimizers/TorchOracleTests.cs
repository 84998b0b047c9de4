using Amari.Verification;

namespace Amari.Tests.Optimizers;

/// <summary>TorchSharp's own optimizers as oracles, over 50 steps.</summary>
public sealed class TorchOracleTests
{
    private const int Steps = 50;

    private delegate Optimizer Maker(Parameter[] parameters, bool fused);

    public static TheoryData<string> Names => [.. Cases.Keys];

    private static readonly Dictionary<string, (Maker Ours, Func<Parameter[], optim.Optimizer> Theirs)> Cases = new()
    {
        ["SGD dampening"] = (Sgd(new() { LearningRate = 0.05, Dampening = 0.3 }), p => optim.SGD(p, 0.05, momentum: 0.9, dampening: 0.3)),
        ["SGD dampening L2"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.05,
                    Momentum = 0.8,
                    Dampening = 1,
                    WeightDecay = 0.1,
                }
            ),
            p => optim.SGD(p, 0.05, momentum: 0.8, dampening: 1, weight_decay: 0.1)
        ),
        ["SGD maximize"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.02,
                    Momentum = 0.5,
                    Maximize = true,
                }
            ),
            p => optim.SGD(p, 0.02, momentum: 0.5, maximize: true)
        ),
        ["SGD maximize plain"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.02,
                    Momentum = 0,
                    Maximize = true,
                }
            ),
            p => optim.SGD(p, 0.02, maximize: true)
        ),
        ["SGD Nesterov"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.05,
                    Nesterov = true,
                    WeightDecay = 0.1,
                }
            ),
            p => optim.SGD(p, 0.05, momentum: 0.9, weight_decay: 0.1, nesterov: true)
        ),
        ["Adam amsgrad"] = (
            Adam(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.9,
                    AmsGrad = true,
                }
            ),
            p => optim.Adam(p, 0.01, beta2: 0.9, amsgrad: true)
        ),
        ["Adam amsgrad L2"] = (
            Adam(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.9,
                    WeightDecay = 0.1,
                    AmsGrad = true,
                }
            ),
            p => optim.Adam(p, 0.01, beta2: 0.9, weight_decay: 0.1, amsgrad: true)
        ),
        ["Adam maximize"] = (Adam(new() { LearningRate = 0.01, Maximize = true }), p => optim.Adam(p, 0.01, maximize: true)),
        ["AdamW amsgrad"] = (
            AdamW(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.9,
                    WeightDecay = 0.1,
                    AmsGrad = true,
                }
            ),
            p => optim.AdamW(p, 0.01, beta2: 0.9, weight_decay: 0.1, amsgrad: true)
        ),
        ["AdamW maximize"] = (
            AdamW(
                new()
                {
                    LearningRate = 0.01,
                    WeightDecay = 0.1,
                    Maximize = true,
                }
            ),
            p => optim.AdamW(p, 0.01, weight_decay: 0.1, maximize: true)
        ),
        ["AdamW amsgrad maximize"] = (
            AdamW(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.5,
                    WeightDecay = 0,
                    AmsGrad = true,
                    Maximize = true,
                }
            ),
            p => optim.AdamW(p, 0.01, beta2: 0.5, amsgrad: true, maximize: true)
        ),
    };

    private static Maker Sgd(Sgd.Options o) => (p, fused) => new Sgd([ParameterGroup.Of(p, o)]) { Fused = fused };

    private static Maker Adam(Adam.Options o) => (p, fused) => new Adam([ParameterGroup.Of(p, o)]) { Fused = fused };

    private static Maker AdamW(AdamW.Options o) => (p, fused) => new AdamW([ParameterGroup.Of(p, o)]) { Fused = fused };

    [Theory, MemberData(nameof(Names))]
    public void Follows_TorchSharp_s_optimizer(string name)
    {
        var (ours, theirs) = Cases[name];
        foreach (
            var (type, fused, tolerance) in new[]
            {
                (ScalarType.Float64, true, 1e-12),
                (ScalarType.Float32, true, 5e-6),
                (ScalarType.Float32, false, 5e-6),
            }
        )
            Same(p => ours(p, fused), theirs, (_, _, _) => { }, type, tolerance);
    }

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
            Same(
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

    /// <summary>AMSGrad turned on late begins with the second moment at that step, and rests while it is off.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void AmsGrad_turned_on_late_begins_with_the_second_moment(bool fused)
    {
        foreach (var type in (ScalarType[])[ScalarType.Float64, ScalarType.Float32])
        {
            var p = Problem.Parameters(
                [
                    [40],
                ],
                type
            );
            using var o = new AdamW([ParameterGroup.Of(p, new AdamW.Options { LearningRate = 0.01, Beta2 = 0.5 })]) { Fused = fused };
            double[] w = Problem.Values(p),
                m = new double[w.Length],
                v = new double[w.Length];
            double[]? u = null;
            for (int step = 1; step <= 12; step++)
            {
                bool on = step is > 3 and <= 6 or > 9;
                o.Groups[0].Options = o.Groups[0].Options with { AmsGrad = on };
                Problem.SetGradients(p, step);
                double[] g = Problem.Values([p[0].grad!]);
                o.step();
                for (int i = 0; i < w.Length; i++)
                {
                    m[i] = 0.9 * m[i] + 0.1 * g[i];
                    v[i] = 0.5 * v[i] + 0.5 * g[i] * g[i];
                }
                if (on)
                    u = u is null ? [.. v] : [.. u.Zip(v, Math.Max)];
                for (int i = 0; i < w.Length; i++)
                    w[i] =
                        w[i] * (1 - 0.01 * 0.01)
                        - 0.01 * m[i] / (1 - Math.Pow(0.9, step)) / (Math.Sqrt((on ? u! : v)[i] / (1 - Math.Pow(0.5, step))) + 1e-8);
            }
            Trajectory.Near(w, Problem.Values(p), type == ScalarType.Float64 ? 1e-12 : 2e-6);
        }
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

    /// <summary>The ascent of an objective is the descent of its negative.</summary>
    [Fact]
    public void Maximize_is_the_descent_of_the_negated_gradient()
    {
        Check<Lion.Options>(o => o with { Maximize = true }, (g, fused) => new Lion([g]) { Fused = fused });
        Check<Muon.Options>(o => o with { Maximize = true }, (g, fused) => new Muon([g]) { Fused = fused });
        Check<Soap.Options>(o => o with { Maximize = true }, (g, fused) => new Soap([g]) { Fused = fused });
        Check<Shampoo.Options>(o => o with { Maximize = true }, (g, fused) => new Shampoo([g]) { Fused = fused });
        Check<ScheduleFree.Options>(o => o with { Maximize = true }, (g, fused) => new ScheduleFree([g]) { Fused = fused });
        Check<Lamb.Options>(o => o with { Maximize = true }, (g, fused) => new Lamb([g]) { Fused = fused });
        Check<Adafactor.Options>(o => o with { Maximize = true }, (g, fused) => new Adafactor([g]) { Fused = fused });

        static void Check<T>(Func<T, T> up, Func<ParameterGroup<T>, bool, Optimizer> make)
            where T : OptimizerOptions, new()
        {
            foreach (bool fused in (bool[])[true, false])
            {
                var (rising, falling) = (
                    Problem.Parameters([
                        [6, 5],
                        [7],
                    ]),
                    Problem.Parameters([
                        [6, 5],
                        [7],
                    ])
                );
                using var a = make(ParameterGroup.Of(rising, up(new())), fused);
                using var b = make(ParameterGroup.Of(falling, new T()), fused);
                a.MaxGradientNorm = b.MaxGradientNorm = 3;
                for (int step = 0; step < 6; step++)
                {
                    Problem.SetGradients(rising, step);
                    Problem.SetGradients(falling, step);
                    foreach (var p in falling)
                        p.grad!.neg_();
                    a.step();
                    b.step();
                }
                Assert.Equal(Problem.Values(falling), Problem.Values(rising));
            }
        }
    }

    [Fact]
    public void Options_that_do_not_go_together_are_refused_where_they_are_given()
    {
        var p = Problem.Parameters([
            [3],
        ]);
        Assert.Contains(
            "must be Full",
            Assert.Throws<ArgumentException>(() => new AdamW(p, new() { AmsGrad = true, StateFormat = StateFormat.BlockwiseInt8 })).Message,
            StringComparison.Ordinal
        );
        Assert.Contains(
            "must be 0",
            Assert.Throws<ArgumentException>(() => new Sgd(p, new() { Nesterov = true, Dampening = 0.5 })).Message,
            StringComparison.Ordinal
        );
        using var o = new AdamW(p, new() { StateFormat = StateFormat.BFloat16 });
        Assert.Throws<ArgumentException>(() => o.Groups[0].Options = o.Groups[0].Options with { AmsGrad = true });
        o.Groups[0].Options = o.Groups[0].Options with { AmsGrad = true, StateFormat = StateFormat.Full };
        Assert.Throws<ArgumentException>(() =>
            new PartitionedOptimizer(
                nn.Linear(2, 2),
                new PartitionedOptimizer.Options
                {
                    Fallback = new() { AmsGrad = true, StateFormat = StateFormat.BlockwiseInt8 },
                }
            )
        );
    }

    /// <summary>A state in few bits has no place for AMSGrad's maximum, and says so.</summary>
    [Fact]
    public void AmsGrad_on_a_state_in_fewer_bits_is_reported()
    {
        var p = Problem.Parameters([
            [3],
        ]);
        using var o = new AdamW(p, new() { StateFormat = StateFormat.BFloat16 });
        Problem.Steps(o, p, 0, 1);
        o.Groups[0].Options = o.Groups[0].Options with { AmsGrad = true, StateFormat = StateFormat.Full };
        Problem.Steps(o, p, 1, 3);
        Assert.Contains("AmsGrad has no effect", Assert.Single(o.Events).Message, StringComparison.Ordinal);
    }

    private static void Same(
        Func<Parameter[], Optimizer> ours,
        Func<Parameter[], optim.Optimizer> theirs,
        Action<Optimizer, optim.Optimizer, int> change,
        ScalarType type,
        double tolerance
    )
    {
        var (p, q) = (Problem.Parameters(Trajectory.Shapes, type), Problem.Parameters(Trajectory.Shapes, type));
        using var a = ours(p);
        using var b = theirs(q);
        for (int step = 0; step < Steps; step++)
        {
            change(a, b, step);
            Problem.SetGradients(p, step);
            Problem.SetGradients(q, step);
            a.step();
            b.step();
        }
        Trajectory.Near(Problem.Values(q), Problem.Values(p), tolerance);
        Assert.NotEqual(Problem.Values(Problem.Parameters(Trajectory.Shapes, type)), Problem.Values(p));
    }
}
