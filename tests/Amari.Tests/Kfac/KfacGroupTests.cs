using Amari.Curvature;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Groups under the rules that look at the loss: one step length, momentum and adaptation for all, each block damped by its own
/// λ.</summary>
public sealed class KfacGroupTests() : KfacTest(87)
{
    private static Kfac Make(nn.Module<Tensor, Tensor> model, Kfac.Options first, Kfac.Options second) =>
        new(
            new ParameterGroup<Kfac.Options>(model.named_parameters().Where(p => p.name[0] == 'a'), first),
            [new(model.named_parameters().Where(p => p.name[0] == 'b'), OwnOf(second))],
            model,
            new Categorical()
        );

    /// <summary>Dense blocks A ⊗ G of the optimizer's own factors; Fisher and gradient from autograd.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void Adapted_damping_scales_each_blocks_own(bool quadratic)
    {
        var model = TwoLayers();
        var options = Plain with
        {
            MaxGrowth = null,
            Damping = 0.04,
            LearningRate = 0.3,
            Step = quadratic
                ? new QuadraticStep
                {
                    AdaptiveDamping = new() { Interval = 1, Decay = 0.7 },
                }
                : new FixedStep
                {
                    KlClip = null,
                    Momentum = 0,
                    AdaptiveDamping = new() { Interval = 1, Decay = 0.7 },
                },
            Curvature = Plain.Curvature with { IdentityStart = 0, Refresh = Plain.Curvature.Refresh with { FactorInterval = 1 } },
        };
        using var optimizer = Make(model, options, options with { Damping = 0.4, LearningRate = 0.2 });
        var (x, y) = (randn(9, 4), randint(0, 3, [9]));
        Tensor? last = null;
        List<double> dampings = [];
        for (int i = 0; i < 4; i++)
        {
            double damping = optimizer.Damping;
            dampings.Add(damping);
            var lambda = damping * cat([full(25, 1.0), full(18, 10.0)]);
            var parameters = model.parameters().ToList();
            var g = cat([.. autograd.grad([new Categorical().Loss(model.call(x), y)], [.. parameters]).Select(t => t.flatten())]);
            var fisher = Dense.Fisher(model, x, parameters, Dense.CategoricalFisher);
            var before = Flat(model);
            var report = optimizer.StepOnBatch(x, y);
            Assert.Equal(damping, report.Damping);
            var state = optimizer.Snapshot().Tensors;
            var u = cat([Solve("a", 0, 25), Solve("b", 25, 18)]);
            Tensor expected;
            if (!quadratic)
                expected = -cat([0.3 * u.narrow(0, 0, 25), 0.2 * u.narrow(0, 25, 18)]);
            else
            {
                var plane = last is null ? -u.unsqueeze(1) : stack([-u, last], 1);
                expected = plane.mv(-linalg.solve(plane.T.mm(fisher + lambda.diag()).mm(plane), plane.T.mv(g)));
            }
            last = Flat(model) - before;
            Assert.InRange(Dense.RelativeError(last, expected), 0, 1e-7);
            Assert.Equal(-(g.dot(expected) + 0.5 * expected.dot(fisher.mv(expected))).ToDouble(), report.PredictedReduction!.Value, 1e-8);

            Tensor Solve(string layer, long at, long d) =>
                linalg.solve(
                    Dense.Kronecker(state[$"{layer}.A"], state[$"{layer}.G"], bias: true) + lambda.narrow(0, at, d).diag(),
                    g.narrow(0, at, d)
                );
        }
        Assert.True(dampings[^1] < 0.8 * dampings[0], string.Join(", ", dampings)); // so that it was scaled
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Resumed_run_with_groups_equals_an_uninterrupted_one_bit_for_bit(bool adaptive)
    {
        var options = Plain with
        {
            LearningRate = 0.2,
            Step = (AutoStep)Plain.Step with { KlClip = 1e-2, Momentum = 0.8 },
            Curvature = Plain.Curvature with { Refresh = Plain.Curvature.Refresh with { FactorInterval = 3, InverseInterval = 4 } },
        };
        if (adaptive)
            options = options with
            {
                StepRejection = true,
                Step = new QuadraticStep
                {
                    AdaptiveDamping = new() { Interval = 2 },
                    FactorDamping = new() { Interval = 3 },
                },
            };
        var second = options with { LearningRate = 0.05, Damping = 0.3, WeightDecay = 0.1 };
        double[] Run(int resumeAt)
        {
            manual_seed(88);
            var model = TwoLayers();
            var optimizer = Make(model, options, second);
            for (int i = 0; i < 12; i++)
            {
                if (i == resumeAt)
                {
                    var other = Make(model, new() { Damping = 7 }, new());
                    other.Restore(optimizer.Snapshot());
                    optimizer.Dispose();
                    optimizer = other;
                }
                var (x, y) = (randn(8, 4), randint(0, 3, [8]));
                if (adaptive)
                    optimizer.StepOnBatch(x, y);
                else
                    Step(model, optimizer, new Categorical(), x, y);
            }
            optimizer.Dispose();
            return Optimizers.Problem.Values(model.parameters());
        }
        Assert.Equal(Run(-1), Run(7));
    }
}
