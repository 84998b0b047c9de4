using Amari.Curvature;
using Amari.Distributed;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>The quadratic model's rule behind the ordinary step(): what schedules make of it, and what bounds its steps.</summary>
public sealed class QuadraticStepTests : StepRuleTest
{
    private static readonly Kfac.Options Quadratic = new()
    {
        Step = new QuadraticStep(),
        Curvature = new() { Fisher = new FisherOptions.Exact() },
    };

    [Theory, InlineData(null), InlineData(4L)]
    public void A_step_after_backward_is_the_step_on_the_batch(long? examples)
    {
        var (first, second) = (Net(), Net());
        using var one = new Kfac(
            first,
            Quadratic with
            {
                Step = (QuadraticStep)Quadratic.Step with { BatchSize = examples },
            },
            new Categorical()
        );
        using var two = new Kfac(
            second,
            Quadratic with
            {
                Step = (QuadraticStep)Quadratic.Step with { BatchSize = examples },
            },
            new Categorical()
        );
        for (int i = 0; i < 6; i++)
        {
            var (x, y) = Batch(16, i);
            Step(first, one, x, y);
            two.StepOnBatch(x, y);
            Assert.Equal(Optimizers.Problem.Values(first.parameters()), Optimizers.Problem.Values(second.parameters()));
        }
    }

    [Fact]
    public void Without_a_likelihood_the_quadratic_model_is_refused() =>
        Assert.Contains(
            "needs a likelihood",
            Assert.Throws<ArgumentException>(() => new Kfac(Net(), new() { Step = new QuadraticStep() })).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_schedule_multiplies_the_step_by_the_rate_over_its_largest()
    {
        var changes = new[] { 0.1, 0.025, 0.4 }
            .Select(rate =>
            {
                var model = Net();
                var (x, y) = Batch(16);
                using var optimizer = new Kfac(model, Quadratic, new Categorical()); // made at 0.1
                optimizer.Group.LearningRate = rate;
                var before = cat([.. model.parameters().Select(p => p.detach().flatten())]).clone();
                Step(model, optimizer, x, y);
                return cat([.. model.parameters().Select(p => p.detach().flatten())]) - before;
            })
            .ToList();
        Assert.InRange(Dense.RelativeError(changes[1], 0.25 * changes[0]), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(changes[2], changes[0]), 0, 1e-12);
    }

    /// <summary>All examples that the model is made of are fitted, so that it has no curvature, and those of the factors are not.</summary>
    [Fact]
    public void A_step_is_at_most_the_natural_one_on_fitted_examples()
    {
        var model = nn.Sequential(("a", nn.Linear(2, 2, hasBias: false)));
        using (no_grad())
            model
                .parameters()
                .First()
                .copy_(
                    tensor(
                        new[,]
                        {
                            { 60.0, 0.3 },
                            { -60.0, 0.2 },
                        }
                    )
                );
        var x = cat([
            tensor(
                new[,]
                {
                    { 1.0, 1.0 },
                }
            ),
            0.02 * randn(31, 2),
        ]);
        var y = zeros([32], dtype: ScalarType.Int64);
        var w = model.parameters().First();
        Assert.InRange(Moved(4), 0, 1.0001);
        Assert.InRange(Moved(null), 1, double.PositiveInfinity);

        double Moved(double? growth)
        {
            using var optimizer = new Kfac(
                model,
                Quadratic with
                {
                    MaxGrowth = growth,
                    Damping = 1e-6,
                    Step = (QuadraticStep)Quadratic.Step with { BatchSize = 1 },
                    Curvature = Quadratic.Curvature with { Inverse = new InverseOptions.Eigenbasis(), IdentityStart = 0 },
                },
                new Categorical()
            );
            var before = w.detach().clone();
            Step(model, optimizer, x, y);
            var (block, change) = (optimizer.Estimate.Blocks[0], w.detach() - before);
            double length = Math.Sqrt((block.Apply(change) * change).sum().ToDouble() + 1e-6 * change.square().sum().ToDouble());
            var v = w.grad!;
            var u = block.Precondition(v, new(1e-6, DampingMethod.Eigenbasis));
            double natural = Math.Sqrt((u * v).sum().ToDouble());
            using (no_grad())
                w.copy_(before);
            return length / natural;
        }
    }

    [Fact]
    public void A_rate_that_falls_to_nothing_and_rises_again_loses_nothing()
    {
        set_default_dtype(ScalarType.Float32);
        var model = Net();
        using var optimizer = new Kfac(model, new() { Step = new QuadraticStep() }, new Categorical());
        var (x, y) = Batch(64);
        double loss = double.NaN,
            low = double.NaN;
        for (int i = 0; i < 400; i++)
        {
            optimizer.Group.LearningRate = 0.1 * Math.Pow(0.9, i % 200);
            optimizer.zero_grad();
            var sum = new Categorical().Loss(model.call(x), y);
            sum.backward();
            optimizer.step();
            loss = sum.ToDouble();
            if (i == 199)
                low = loss;
        }
        Assert.InRange(loss, 0, low + 1e-3);
    }

    [Fact]
    public void A_model_that_is_exactly_right_stays_so()
    {
        set_default_dtype(ScalarType.Float32);
        var model = nn.Sequential(("a", nn.Linear(4, 2)));
        using var optimizer = new Kfac(model, new() { Step = new QuadraticStep() }, new Gaussian());
        var x = randn(64, 4);
        for (int i = 0; i < 400; i++)
        {
            optimizer.zero_grad();
            new Gaussian().Loss(model.call(x), zeros(64, 2)).backward();
            optimizer.step();
        }
        using var off = no_grad();
        Assert.InRange(model.call(x).abs().max().ToDouble(), 0, 1e-6);
    }

    [Fact]
    public void A_step_without_a_pass_is_refused_and_counted()
    {
        var model = Net();
        using var optimizer = new Kfac(model, Quadratic, new Categorical());
        var (x, y) = Batch(16);
        Step(model, optimizer, x, y);
        var before = Optimizers.Problem.Values(model.parameters());
        optimizer.step();
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        Assert.Equal(1, optimizer.SkippedSteps);
        Assert.Contains(optimizer.Events, e => e.Message.StartsWith("no forward pass", StringComparison.Ordinal));
    }

    [Fact]
    public void One_example_without_batch_dimension_is_a_batch_of_one()
    {
        Assert.Equal(Run(false), Run(true));

        static double[] Run(bool batch)
        {
            var model = nn.Sequential(("a", nn.Linear(40, 3)));
            using (no_grad())
                foreach (var p in model.parameters())
                    p.copy_(linspace(-1, 1, p.numel()).reshape(p.shape));
            using var optimizer = new Kfac(
                model,
                new()
                {
                    Step = new QuadraticStep(),
                    Curvature = new()
                    {
                        Refresh = new()
                        {
                            FactorInterval = 4,
                            InverseInterval = 4,
                            Warmup = null,
                        },
                    },
                },
                new Gaussian()
            );
            for (int i = 0; i < 6; i++)
            {
                manual_seed(i);
                var (x, y) = (randn(40), randn(3));
                optimizer.zero_grad();
                (
                    batch
                        ? new Gaussian().Loss(model.call(x.unsqueeze(0)), y.unsqueeze(0))
                        : nn.functional.mse_loss(model.call(x), y, nn.Reduction.Sum) / 2
                ).backward();
                optimizer.step();
            }
            return [.. Optimizers.Problem.Values(model.parameters()).Select(v => Math.Round(v, 9))];
        }
    }
}
