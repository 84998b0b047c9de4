using Amari.Optimizers;
using Amari.Training;
using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Cautious steps: those of AdamW, Lion and Muon that never go against the gradient.</summary>
public sealed class WeightStepTests
{
    /// <summary>The authors' C-AdamW and C-Lion, number by number.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void Cautious_steps_follow_the_authors_formulas(bool adam)
    {
        const double Rate = 0.02,
            Decay = 0.1;
        double[] w = Problem.Values(
                Problem.Parameters(
                    [
                        [30],
                    ],
                    ScalarType.Float64
                )
            ),
            m = new double[30],
            v = new double[30];
        for (int t = 1; t <= 12; t++)
        {
            var p = Problem.Parameters(
                [
                    [30],
                ],
                ScalarType.Float64
            );
            Problem.SetGradients(p, t - 1);
            double[] g = Problem.Values([p[0].grad!]),
                u = new double[30];
            for (int i = 0; i < 30; i++)
            {
                if (adam)
                {
                    (m[i], v[i]) = (0.9 * m[i] + 0.1 * g[i], 0.999 * v[i] + 0.001 * g[i] * g[i]);
                    u[i] = m[i] / (1 - Math.Pow(0.9, t)) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, t))) + 1e-8);
                }
                else
                    (u[i], m[i]) = (Math.Sign(0.9 * m[i] + 0.1 * g[i]), 0.99 * m[i] + 0.01 * g[i]);
            }
            int agree = u.Zip(g).Count(x => x.First * x.Second > 0);
            if (t == 1)
                Assert.Equal(30, agree);
            for (int i = 0; i < 30; i++)
                w[i] = (1 - Rate * Decay) * w[i] - (u[i] * g[i] > 0 ? Rate * u[i] * 30 / agree : 0);
        }
        Near(
            w,
            Run(
                s =>
                    adam
                        ? new AdamW(
                            s.Groups(
                                new AdamW.Options()
                                {
                                    LearningRate = Rate,
                                    WeightDecay = Decay,
                                    Cautious = true,
                                }
                            )
                        )
                        : new Lion(
                            s.Groups(
                                new Lion.Options()
                                {
                                    LearningRate = Rate,
                                    WeightDecay = Decay,
                                    Cautious = true,
                                }
                            )
                        ),
                shapes:
                [
                    [30],
                ]
            ),
            1e-12
        );
    }

    /// <summary>After a step along the gradients all but a few turn round, by too little to turn the momentum: these few go as if they were
    /// a thousandth of all.</summary>
    [
        Theory,
        InlineData(true, true, 1),
        InlineData(true, false, 1),
        InlineData(false, true, 1),
        InlineData(false, false, 1),
        InlineData(true, true, 0),
        InlineData(false, false, 0)
    ]
    public void Few_entries_that_agree_are_lengthened_a_thousandfold_at_most(bool adam, bool fused, int agree)
    {
        const int Count = 4000;
        const double Rate = 1e-5;
        var p = nn.Parameter(zeros(Count));
        using Optimizer o = adam
            ? new AdamW([
                ParameterGroup.Of(
                    [p],
                    new AdamW.Options()
                    {
                        LearningRate = Rate,
                        WeightDecay = 0,
                        Cautious = true,
                    }
                ),
            ])
            {
                Fused = fused,
            }
            : new Lion([ParameterGroup.Of([p], new Lion.Options() { LearningRate = Rate, Cautious = true })]) { Fused = fused };
        p.grad = ones(Count);
        o.step();
        double[] before = Problem.Values([p]);
        p.grad = full(Count, -0.01f);
        for (int i = 0; i < agree; i++)
            p.grad[i] = 0.01f;
        o.step();
        double[] after = Problem.Values([p]);
        double m = 0.9 * 0.1 + 0.1 * 0.01,
            v = 0.999 * 0.001 + 0.001 * 1e-4;
        double free = adam ? m / (1 - 0.81) / Math.Sqrt(v / (1 - 0.999 * 0.999)) : 1;
        for (int i = 0; i < Count; i++)
            if (i < agree)
                Assert.Equal(1000 * Rate * free, before[i] - after[i], 1e-5 * 1000 * Rate);
            else
                Assert.Equal(before[i], after[i]);
    }

    [Fact]
    public void Cautious_Muon_moves_nothing_against_its_gradient()
    {
        var p = Problem.Parameters(
            [
                [6, 5],
            ],
            ScalarType.Float64
        );
        using var o = new Muon([ParameterGroup.Of(p, new Muon.Options() { Cautious = true })]);
        using var plain = new Muon([
            ParameterGroup.Of(
                Problem.Parameters(
                    [
                        [6, 5],
                    ],
                    ScalarType.Float64
                ),
                new Muon.Options()
            ),
        ]);
        for (int step = 0; step < 6; step++)
        {
            using var scope = NewDisposeScope();
            using var before = p[0].detach().clone();
            foreach (var q in new[] { p, [.. plain.parameters()] })
                Problem.SetGradients(q, step);
            var old = plain.parameters().Single().detach().clone();
            o.step();
            plain.step();
            var (moved, free) = (before - p[0].detach(), old - plain.parameters().Single().detach());
            Assert.True((moved * p[0].grad!).ge(0).all().ToBoolean());
            double agree = (free * p[0].grad!).gt(0).to_type(ScalarType.Float64).mean().ToDouble();
            Near(Problem.Values([where((free * p[0].grad!).gt(0), free / agree, zeros_like(free))]), Problem.Values([moved]), 1e-12);
        }
    }
}
