using Amari.Native;

namespace Amari.Tests.SecondOrder;

/// <summary>Steps that are tried: what an exception of the model leaves, and steps that raise the loss.</summary>
public sealed class SecondOrderOptimizerTrialTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Throws at a call to come.</summary>
    private sealed class Failing : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> _inner;

        public Failing(nn.Module<Tensor, Tensor> inner)
            : base(nameof(Failing))
        {
            _inner = inner;
            RegisterComponents();
        }

        /// <summary>How many calls succeed before one fails; none fails after it.</summary>
        public int Left { get; set; } = int.MaxValue;

        public override Tensor forward(Tensor input) =>
            Left-- == 0 ? throw new InvalidOperationException("no output this time") : _inner.call(input);
    }

    [Theory, MemberData(nameof(SecondOrderCases.Names), MemberType = typeof(SecondOrderCases))]
    public void An_exception_of_the_model_leaves_the_weights_as_they_were(string name)
    {
        for (int calls = 1; calls < 9; calls++)
        {
            using var scope = NewDisposeScope();
            using var model = new Failing(SecondOrderCases.Convex());
            using var o = SecondOrderCases.Make(name, model);
            SecondOrderCases.StepOnBatch(o, 0);
            double[] before = SecondOrderCases.Values(model);
            model.Left = calls;
            try
            {
                SecondOrderCases.StepOnBatch(o, 1);
                return; // a step has no more calls
            }
            catch (InvalidOperationException e) when (e.Message.StartsWith("no output", StringComparison.Ordinal))
            {
                Assert.Equal(before, SecondOrderCases.Values(model));
            }
            model.Left = int.MaxValue;
            Assert.Equal(StepOutcome.Accepted, SecondOrderCases.StepOnBatch(o, 2).Outcome);
        }
    }

    /// <summary>Labels that two planes separate: far from the minimum, Newton's steps are much too long.</summary>
    private static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y) Separable(ScalarType type, long seed)
    {
        manual_seed(seed);
        var model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).to(type);
        var x = randn(200, 5, dtype: type);
        return (model, x, x.narrow(1, 0, 3).argmax(1));
    }

    public static TheoryData<string, ScalarType> Shortened
    {
        get
        {
            var cases = new TheoryData<string, ScalarType>();
            foreach (string name in (string[])["SaddleFreeNewton", "NaturalGradient"])
            foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64])
                cases.Add(name, type);
            return cases;
        }
    }

    [Theory, MemberData(nameof(Shortened))]
    public void Default_steps_never_raise_the_loss_of_their_batch(string name, ScalarType type)
    {
        for (long seed = 0; seed < 3; seed++)
        {
            var (model, x, y) = Separable(type, seed);
            using var o = SecondOrderCases.Default(name, model);
            double first = double.NaN,
                last = double.PositiveInfinity;
            for (int step = 0; step < 40; step++)
            {
                var report = o.StepOnBatch(x, y);
                Assert.InRange(report.LossAfter, 0, report.LossBefore * 1.0001);
                if (step == 0)
                    first = report.LossBefore;
                last = report.LossAfter;
            }
            Assert.InRange(last, 0, 0.2 * first);
            Assert.Contains(o.Events, e => e.Message.Contains("shortened", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Newton_s_own_steps_may_rise_and_an_option_shortens_them()
    {
        var (model, x, y) = Separable(ScalarType.Float64, 0);
        using (var o = new Newton(model, new Categorical()))
        {
            double last = 0;
            for (int step = 0; step < 40; step++)
                last = o.StepOnBatch(x, y).LossAfter;
            Assert.InRange(last, 2, double.PositiveInfinity);
            Assert.Contains(o.Events, e => e.Message.StartsWith("the step raised the loss of its batch", StringComparison.Ordinal));
        }
        (model, x, y) = Separable(ScalarType.Float64, 0);
        using var shortened = new Newton(model, new Categorical(), new() { Damping = 1, StepRejection = true });
        double first = double.NaN,
            end = 0;
        for (int step = 0; step < 40; step++)
        {
            var report = shortened.StepOnBatch(x, y);
            Assert.InRange(report.LossAfter, 0, report.LossBefore);
            if (step == 0)
                first = report.LossBefore;
            end = report.LossAfter;
        }
        Assert.InRange(end, 0, 0.5 * first);
    }

    [Theory, InlineData("SaddleFreeNewton"), InlineData("NaturalGradient")]
    public void Without_rejection_steps_are_those_of_the_paper(string name)
    {
        var (model, x, y) = Separable(ScalarType.Float64, 1);
        using SecondOrderOptimizer o =
            name == "SaddleFreeNewton"
                ? new SaddleFreeNewton(model, new Categorical(), new() { StepRejection = false })
                : new NaturalGradient(model, new Categorical(), new() { StepRejection = false });
        bool rose = false;
        for (int step = 0; step < 40 && !rose; step++)
            rose = o.StepOnBatch(x, y) is { LossAfter: var after, LossBefore: var before } && after > 1.01 * before;
        Assert.True(rose);
    }

    /// <summary>The first step along a gradient of 10⁹ changes the loss less than rounding does.</summary>
    [Theory, InlineData(1), InlineData(1e5), InlineData(1e7), InlineData(1e9)]
    public void Regression_is_solved_by_Lbfgs_at_any_scale_of_its_targets(double scale)
    {
        manual_seed(5);
        using var model = nn.Linear(6, 1);
        var x = randn(200, 6);
        var y = (x.narrow(1, 0, 1) + x.narrow(1, 1, 1) * 0.5 + 5) * scale;
        using var o = new Lbfgs(model, new SquaredError());
        double last = 0;
        for (int step = 0; step < 50; step++)
            last = o.StepOnBatch(x, y).LossAfter;
        Assert.InRange(last / (scale * scale), 0, 1e-9);
    }

    [Fact]
    public void A_loss_without_a_lower_bound_ends_in_finite_weights()
    {
        var w = nn.Parameter(tensor(new[] { -1.2f, 1 }));
        using var o = new Lbfgs([w]);
        for (int step = 0; step < 30; step++)
            o.step(() => w.sum()).Dispose();
        Assert.True(w.isfinite().all().ToBoolean());
        Assert.Contains(o.Events, e => e.Message.Contains("no lower bound", StringComparison.Ordinal));
    }
}
