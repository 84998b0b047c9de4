using Amari.Distributed;
using Amari.Training;

namespace Amari.Tests.KfacOptimizer;

/// <summary>K-FAC at settings where it is another method, or a multiple of itself.</summary>
public sealed class KfacEquivalenceTests() : KfacTest(83)
{
    private static Sequential Net() =>
        nn.Sequential(("c", nn.Conv1d(1, 2, 2)), ("f", nn.Flatten()), ("t", nn.Tanh()), ("l", nn.Linear(6, 3)));

    /// <summary>A = G = I by a restored state, and none are measured after it: U = V / (1 + √λ)² by factored damping, V / (1 + λ) in the
    /// eigenbasis.</summary>
    [Theory]
    [
        InlineData(DampingMethod.FactoredTikhonov, 0.9, 0),
        InlineData(DampingMethod.Eigenbasis, 0.9, 0),
        InlineData(DampingMethod.FactoredTikhonov, 0, 0.2),
        InlineData(DampingMethod.Eigenbasis, 0.6, 0.2)
    ]
    public void Identity_factors_make_it_SGD(DampingMethod method, double momentum, double decay)
    {
        const double rate = 0.3,
            damping = 0.25;
        var (model, twin, x, y) = (Net(), Net(), randn(8, 1, 4), randint(0, 3, [8]));
        using (no_grad())
            foreach (var (p, q) in twin.parameters().Zip(model.parameters()))
                p.copy_(q);
        var options = Plain with
        {
            Damping = damping,
            WeightDecay = decay,
            Step = (AutoStep)Plain.Step with { Momentum = momentum },
            Curvature = Plain.Curvature with
            {
                Inverse = InverseOptions.Of(method),
                Refresh = Plain.Curvature.Refresh with { FactorInterval = 1000, InverseInterval = 1000 },
            },
        };
        using var measured = new Kfac(model, options with { LearningRate = 0 }, new Categorical());
        Step(model, measured, new Categorical(), x, y);
        var (tensors, values) = measured.Snapshot();
        using var optimizer = new Kfac(model, options, new Categorical());
        optimizer.Restore(
            new(
                tensors
                    .Where(t =>
                        t.Key[^2..] is ".A" or ".G" || t.Key == "generator" || t.Key.StartsWith("fallback", StringComparison.Ordinal)
                    )
                    .ToDictionary(t => t.Key, t => t.Key[^2..] is ".A" or ".G" ? eye(t.Value.shape[^1]).expand(t.Value.shape) : t.Value),
                values
            )
        );
        optimizer.Group.LearningRate = rate;
        double unit = method == DampingMethod.Eigenbasis ? 1 / (1 + damping) : Math.Pow(1 + Math.Sqrt(damping), -2);
        using var sgd = new Sgd(twin, new() { LearningRate = rate * unit, Momentum = momentum });
        for (int i = 0; i < 6; i++)
        {
            Step(model, optimizer, new Categorical(), x, y);
            sgd.zero_grad();
            new Categorical().Loss(twin.call(x), y).backward();
            using (no_grad())
                foreach (var p in twin.parameters().Where(p => p.dim() > 1))
                    p.mul_(1 - rate * decay); // decoupled, with the gradient from before
            sgd.step();
            foreach (var (p, q) in model.parameters().Zip(twin.parameters()))
                Assert.InRange(Dense.RelativeError(p, q), 0, 1e-12);
        }
        Assert.All(
            measured.Snapshot().Tensors.Where(t => t.Key[^2..] is ".A" or ".G"),
            t => Assert.InRange(Dense.RelativeError(t.Value, eye(t.Value.shape[^1])), 0.1, 1000)
        );
    }

    /// <summary>The norm is that of the mean gradient of all parameters, AdamW's too; the blocks' step is proportional to it.</summary>
    [Theory, InlineData(LossReduction.Mean, 0.02), InlineData(LossReduction.Sum, 0.02), InlineData(LossReduction.Sum, 100)]
    public void Clipped_step_is_c_times_the_whole_one(LossReduction reduction, double most)
    {
        const long n = 8;
        (Dictionary<string, Tensor> Change, double Norm, Kfac Optimizer) Run(double? clip)
        {
            manual_seed(84);
            var model = nn.Sequential(("c", nn.Conv1d(1, 2, 2)), ("f", nn.Flatten()), ("p", nn.PReLU(1)), ("l", nn.Linear(6, 3)));
            var (x, y) = (randn(n, 1, 4), randint(0, 3, [n]));
            var optimizer = new Kfac(
                model,
                Plain with
                {
                    Reduction = reduction,
                    Step = (AutoStep)Plain.Step with { KlClip = null },
                },
                new Categorical()
            )
            {
                MaxGradientNorm = clip,
            };
            var before = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().clone());
            var loss = new Categorical().SumNegativeLogLikelihood(model.call(x), y);
            (reduction == LossReduction.Sum ? loss : loss / n).backward();
            optimizer.step();
            double norm = model.parameters().Sum(p => p.grad!.square().sum().ToDouble());
            return (
                model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach() - before[p.name]),
                Math.Sqrt(norm) / (reduction == LossReduction.Sum ? n : 1),
                optimizer
            );
        }
        var (whole, norm, first) = Run(null);
        var (clipped, _, optimizer) = Run(most);
        using (first)
        using (optimizer)
        {
            double c = Math.Min(1, most / norm);
            Assert.Equal(norm, optimizer.GradientNorm, 1e-12);
            Assert.Equal(c < 1 ? 1 : 0, optimizer.ClippedSteps);
            foreach (string name in (string[])["c.weight", "c.bias", "l.weight", "l.bias"])
                Assert.InRange(Dense.RelativeError(clipped[name], c * whole[name]), 0, 1e-12);
            Assert.Equal("AdamW", optimizer.Coverage.Rows.Single(r => r.Parameter == "p.weight").Block);
        }
    }
}
