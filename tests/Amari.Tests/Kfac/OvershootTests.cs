using Amari.Native;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Quadratic steps whose model has another curvature than the loss, and batches that alternate.</summary>
public sealed class OvershootTests
{
    private const int Batch = 512,
        Features = 8;

    /// <summary>y = x₁ x₂ by a small network, in batches in a fixed order or shuffled.</summary>
    private sealed class Run : IDisposable
    {
        private readonly DisposeScope _scope = NewDisposeScope();
        private readonly Tensor _inputs,
            _targets;
        private readonly int _batches;
        private readonly bool _shuffles;
        private readonly double _scale;
        private Tensor _order;

        public Run(int batches, bool shuffles, double scale, Kfac.Options? options = null)
        {
            manual_seed(2);
            (_batches, _shuffles, _scale) = (batches, shuffles, scale);
            _inputs = randn(batches * Batch, Features);
            _targets = (_inputs.select(1, 0) * _inputs.select(1, 1)).unsqueeze(1);
            _order = arange(batches * Batch);
            Model = nn.Sequential(
                ("a", nn.Linear(Features, 64)),
                ("t", nn.Tanh()),
                ("b", nn.Linear(64, 64)),
                ("r", nn.ReLU()),
                ("c", nn.Linear(64, 1))
            );
            Optimizer = new(Model, options, new SquaredError());
        }

        public Sequential Model { get; }

        public Kfac Optimizer { get; private set; }

        /// <summary>A step of batch i.</summary>
        public void Step(int i)
        {
            if (_shuffles && i % _batches == 0)
            {
                manual_seed(i);
                _order = randperm(_batches * Batch);
            }
            using var scope = NewDisposeScope();
            var rows = _order.narrow(0, i % _batches * Batch, Batch);
            Optimizer.zero_grad();
            (_scale * (Model.call(_inputs[rows]) - _targets[rows]).square().mean() / 2).backward();
            Optimizer.step();
        }

        public double Loss()
        {
            using var off = no_grad();
            using var scope = NewDisposeScope();
            return ((Model.call(_inputs) - _targets).square().mean() / 2).ToDouble();
        }

        /// <summary>Goes on with a new optimizer in the state of this one.</summary>
        public void Resume()
        {
            var snapshot = Optimizer.Snapshot();
            var next = new Kfac(Model, null, new SquaredError());
            next.Restore(snapshot);
            Optimizer.Dispose();
            Optimizer = next;
        }

        public void Dispose()
        {
            Optimizer.Dispose();
            _scope.Dispose();
        }
    }

    /// <summary>2 is what mse_loss without the half gives, and 512 its sum. Without the bound, losses end at 0.4 to 10^20.</summary>
    [Theory]
    [InlineData(1, 2, 1e-8), InlineData(1, 10, 1e-3), InlineData(1, 512, 1e-3), InlineData(3, 2, 5e-3), InlineData(3, 10, 5e-3)]
    public void A_multiple_of_the_likelihoods_loss_is_trained(int batches, double scale, double most)
    {
        using var run = new Run(batches, shuffles: true, scale);
        for (int i = 0; i < 300; i++)
            run.Step(i);
        Assert.InRange(run.Loss(), 0, most);
        if (scale > 2)
            Assert.Contains(run.Optimizer.Events, e => e.Message.Contains("is the loss the mean", StringComparison.Ordinal));
    }

    [Theory, InlineData(1, typeof(QuadraticStep)), InlineData(2, typeof(FixedStep)), InlineData(10, typeof(FixedStep))]
    public void A_multiple_of_a_probabilities_loss_is_seen_at_once(double scale, Type rule)
    {
        using var scope = NewDisposeScope();
        foreach (bool classes in (bool[])[true, false])
        {
            manual_seed(5);
            var inputs = randn(Batch, Features);
            var model = nn.Sequential(("a", nn.Linear(Features, 32)), ("t", nn.Tanh()), ("b", nn.Linear(32, 3)));
            Likelihood likelihood = classes ? new Categorical() : new Bernoulli();
            var targets = classes ? randint(3, [Batch]) : rand(Batch, 3).round();
            using var kfac = new Kfac(model, null, likelihood);
            for (int i = 0; i < 30; i++)
            {
                kfac.zero_grad();
                (scale * likelihood.Loss(model.call(inputs), targets)).backward();
                kfac.step();
            }
            Assert.IsType(rule, kfac.StepRule);
            Assert.Equal(scale > 1, kfac.Events.Any(e => e.Message.Contains("a multiple of the likelihood", StringComparison.Ordinal)));
            Assert.InRange(likelihood.Loss(model.call(inputs), targets).ToDouble(), 0, classes ? 1.05 : 2.0);
        }
    }

    /// <summary>Each of two batches in turn undid the step of the other: the loss stayed at 0.007.</summary>
    [Fact]
    public void Two_batches_that_alternate_do_not_undo_each_others_steps()
    {
        using var run = new Run(batches: 2, shuffles: false, scale: 1);
        for (int i = 0; i < 400; i++)
            run.Step(i);
        Assert.InRange(run.Loss(), 0, 1e-3);
    }

    [Fact]
    public void Without_MaxGrowth_steps_are_those_of_the_paper()
    {
        using var run = new Run(batches: 1, shuffles: false, scale: 10, new() { Step = new QuadraticStep(), MaxGrowth = null });
        for (int i = 0; i < 10; i++)
            run.Step(i);
        Assert.DoesNotContain(run.Optimizer.Events, e => e.Message.Contains("shortened", StringComparison.Ordinal));
    }

    [Fact]
    public void A_resumed_run_continues_bit_for_bit()
    {
        static double[] After(bool resumes)
        {
            using var run = new Run(batches: 2, shuffles: true, scale: 3);
            for (int i = 0; i < 40; i++)
            {
                run.Step(i);
                if (resumes && i % 7 == 3)
                    run.Resume();
            }
            return [.. run.Model.parameters().SelectMany(p => p.detach().Elements<float>()).Select(x => (double)x)];
        }
        Assert.Equal(After(resumes: false), After(resumes: true));
    }

    [Fact]
    public void The_share_follows_the_slopes_of_later_batches()
    {
        var overshoot = new Overshoot();
        Assert.Equal(1, overshoot.Judge(5)); // no step yet
        Follows(0.5, 1, 1);
        Follows(-0.3, 1, 1); // never above 1
        Follows(1.7, 1, Math.Exp(-0.2));
        Follows(0.7, 1, Math.Exp(-0.2));
        Follows(-2, 1, 1);
        Follows(9, 0.1, Math.Exp(-0.46));
        Follows(1.7, 1, Math.Exp(-0.66));
        Follows(1.7, 1, Math.Exp(-0.86));
        Follows(double.NaN, 1, Math.Exp(-0.86));
        overshoot.Begin(-1);
        overshoot.Shorten(0); // taken back
        Assert.Equal(1, overshoot.Judge(1e9));
        Assert.False(overshoot.HasFallen);
        for (int i = 0; i < 30 && !overshoot.HasFallen; i++)
            Follows(0.7, 1, Math.Exp(-0.86));
        Assert.True(overshoot.HasFallen);
        Follows(3.5, 1, Math.Exp(-1.32)); // not in the beginning
        for (int i = 0; i < 50; i++)
        {
            overshoot.Begin(-1);
            overshoot.Judge(i % 2 == 0 ? 5 : 0.6);
        }
        Assert.Equal(0.1, overshoot.Share, 2);
        var scaled = new Overshoot();
        for (int i = 0; i < 20; i++)
        {
            scaled.Begin(-1);
            Assert.Equal(0.1, scaled.Judge(9), 12);
        }
        Assert.InRange(scaled.Share, 0, 1e-3);

        void Follows(double rho, double keep, double share)
        {
            overshoot.Begin(-2e-3);
            Assert.Equal(keep, overshoot.Judge(2e-3 * rho), 12);
            Assert.Equal(share, overshoot.Share, 12);
        }
    }
}
