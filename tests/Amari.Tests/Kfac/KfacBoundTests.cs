using Amari.Curvature;
using Amari.Optimizers;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Tests.KfacOptimizer;

/// <summary>That steps are bounded by more than the Fisher where they start: schedules that touch 0, the growth of steps, and the least
/// damping.</summary>
public sealed class KfacBoundTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static nn.Module<Tensor, Tensor> Net()
    {
        manual_seed(5);
        return nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3)));
    }

    /// <summary>2 KL of the first step at a rate of 1, after steps at other rates.</summary>
    private static double Kl(double momentum, params double[] rates)
    {
        var model = Net();
        manual_seed(9);
        var (x, y) = (2 * randn(256, 4), randint(0, 3, [256]));
        using var optimizer = new Kfac(
            model,
            new()
            {
                Step = new AutoStep { KlClip = 1e-3, Momentum = momentum },
            },
            new Categorical()
        );
        foreach (double rate in rates)
            Step(rate);
        using var off = no_grad();
        var f = model.call(x).clone();
        using (enable_grad())
            Step(1);
        return 2 * new Categorical().KlDivergence(f, model.call(x)).mean().ToDouble();

        void Step(double rate)
        {
            optimizer.Group.LearningRate = rate;
            optimizer.zero_grad();
            new Categorical().Loss(model.call(x), y).backward();
            optimizer.step();
        }
    }

    public static TheoryData<double, double[]> Rates =>
        new(
            (0.5, [0, 0, 0, 0, 0]),
            (0.9, [0, 0, 0, 0, 0]),
            (0.95, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (0.9, [1e-9, 1e-9, 1e-9, 1e-9, 1e-9]), // all but 0: a warm restart
            (0.9, [1e-4, 1e-4, 1e-4, 0, 1e-6, 0])
        );

    [Theory, MemberData(nameof(Rates))]
    public void Steps_at_rate_zero_do_not_lengthen_the_next_one(double momentum, double[] rates) =>
        Assert.InRange(Kl(momentum, rates), 0, 4 * Kl(momentum));

    [Fact]
    public void Steps_at_a_rate_of_0_move_nothing()
    {
        var model = Net();
        using var optimizer = new Kfac(
            model,
            new()
            {
                WeightDecay = 0.1,
                Step = new AutoStep { Momentum = 0.9 },
            },
            new Categorical()
        );
        for (int i = 0; i < 6; i++)
        {
            var before = Optimizers.Problem.Values(model.parameters());
            optimizer.Group.LearningRate = i < 3 ? 0.1 : 0;
            optimizer.zero_grad();
            new Categorical().Loss(model.call(randn(16, 4)), randint(0, 3, [16])).backward();
            optimizer.step();
            if (i < 3)
                Assert.NotEqual(before, Optimizers.Problem.Values(model.parameters()));
            else
                Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        }
    }

    [Fact]
    public void A_huge_gradient_moves_the_weights_twice_as_far_and_remeasures_curvature()
    {
        set_default_dtype(ScalarType.Float64);
        try
        {
            var model = Net();
            using var optimizer = new Kfac(
                model,
                new()
                {
                    LearningRate = 1e-3,
                    Step = new AutoStep { KlClip = null, Momentum = 0 },
                    Curvature = new()
                    {
                        Fisher = new FisherOptions.ForwardOnly(),
                        Refresh = new()
                        {
                            FactorInterval = 100,
                            InverseInterval = 100,
                            Warmup = null,
                        },
                    },
                },
                null
            );
            var (x, y) = (randn(32, 4), randint(0, 3, [32]));
            double usual = 0;
            for (int i = 0; i < 30; i++)
                usual = Moved(1);
            long updates = optimizer.Estimate.Blocks[0].Updates;
            Assert.Equal(1, updates);
            Assert.Equal(2 * usual, Moved(1e4), 0.05 * usual); // √κ = 2
            Assert.Contains(optimizer.Events, e => e.Step == 31 && e.Message.Contains("running mean", StringComparison.Ordinal));
            Moved(1);
            Assert.Equal(updates + 1, optimizer.Estimate.Blocks[0].Updates); // between two intervals

            double Moved(double scale)
            {
                var before = model.parameters().Select(p => p.detach().clone()).ToList();
                optimizer.zero_grad();
                (scale * new Categorical().Loss(model.call(x), y)).backward();
                optimizer.step();
                return Math.Sqrt(model.parameters().Zip(before).Sum(p => (p.First - p.Second).square().sum().ToDouble()));
            }
        }
        finally
        {
            set_default_dtype(ScalarType.Float32);
        }
    }

    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.Float64)]
    public void The_least_damping_is_that_of_the_dtype_or_the_one_given(ScalarType type)
    {
        var model = Net().to(type);
        double least = 8 * (type == ScalarType.Float32 ? Math.Pow(2, -23) : Math.Pow(2, -52));
        Assert.Equal(
            least,
            Damping(
                new()
                {
                    Damping = 1e-30,
                    Curvature = new() { DampingScale = DampingScale.MeanEigenvalue },
                }
            ),
            1e-9 * least
        );
        Assert.Equal(least, Damping(new() { Damping = 1e-30 }), 1e-9 * least);
        Assert.Equal(
            1e-2,
            Damping(
                new()
                {
                    Damping = 1e-30,
                    Curvature = new() { MinDamping = 1e-2 },
                }
            )
        );
        Assert.Equal(
            1e-30,
            Damping(
                new()
                {
                    Damping = 1e-30,
                    Curvature = new() { MinDamping = 0 },
                }
            )
        );

        double Damping(Kfac.Options options)
        {
            using var optimizer = new Kfac(model, options, new Categorical());
            optimizer.zero_grad();
            new Categorical().Loss(model.call(randn(8, 4, dtype: type)), randint(0, 3, [8])).backward();
            optimizer.step();
            return optimizer.Estimate.Blocks[0].Damping(options.Curvature.DampedBy(options.Damping));
        }
    }

    /// <summary>The mean of past lengths has shrunk to nothing with the gradient, and the bound follows it. A new optimizer takes 25 steps,
    /// or 10 with the quadratic model; both took 120 here.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void A_fitted_model_learns_new_data(bool quadratic)
    {
        manual_seed(0);
        var x = randn(48, 8);
        Tensor y = randint(0, 3, [48]),
            other = randint(0, 3, [48]);
        var model = nn.Sequential(("a", nn.Linear(8, 32)), ("t", nn.Tanh()), ("b", nn.Linear(32, 3)));
        using var optimizer = new Kfac(model, new() { Step = quadratic ? new QuadraticStep() : new FixedStep() }, new Categorical());
        Assert.InRange(Train(y, 2000), 0, 1e-4);
        Assert.InRange(Train(other, 50), 0, 0.05);

        double Train(Tensor targets, int steps)
        {
            for (int step = 0; step < steps; step++)
            {
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                nn.functional.cross_entropy(model.call(x), targets).backward();
                optimizer.step();
            }
            using var off = no_grad();
            return nn.functional.cross_entropy(model.call(x), targets).ToDouble();
        }
    }
}
