using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Kronecker;
using Amari.Reporting;
using Amari.Solvers;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>No run dies of bad numbers, and none grows.</summary>
public sealed class KfacSafetyTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public KfacSafetyTests() => manual_seed(71);

    public void Dispose() => _scope.Dispose();

    private static Sequential Net() =>
        nn.Sequential(("a", nn.Linear(6, 5)), ("p", nn.PReLU(1)), ("n", nn.LayerNorm(5)), ("b", nn.Linear(5, 3)));

    private static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, Tensor x)
    {
        optimizer.zero_grad();
        new Categorical().Loss(model.call(x), zeros([x.shape[0]], dtype: ScalarType.Int64)).backward();
        optimizer.step();
    }

    /// <summary>Without AdamW's part and without factors from before, nothing else shows the bad numbers.</summary>
    [
        Theory,
        InlineData(FisherKind.Empirical, false),
        InlineData(FisherKind.Exact, false),
        InlineData(FisherKind.Empirical, true),
        InlineData(FisherKind.Exact, true)
    ]
    public void A_bad_first_batch_is_skipped_where_every_parameter_has_a_block(FisherKind kind, bool evaluates)
    {
        var model = nn.Sequential(("a", nn.Linear(6, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
        Kfac.Options options = new()
        {
            Strict = true,
            StepRejection = evaluates,
            Step = evaluates
                ? new QuadraticStep
                {
                    AdaptiveDamping = new(),
                    FactorDamping = new() { Interval = 1 },
                }
                : new FixedStep(),
            Curvature = new() { Fisher = FisherOptions.Of(kind) },
        };
        using var optimizer = new Kfac(model, options, new Categorical());
        var (bad, before) = (randn(8, 6), Optimizers.Problem.Values(model.parameters()));
        bad[2, 1] = double.NaN;
        Go(bad);
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        Assert.Equal(1, optimizer.SkippedSteps);
        Assert.Contains(
            optimizer.Events,
            e => e is { Step: 1, Subject: "a.weight", Message: "its gradient was not finite, nor were others; the step was skipped" }
        );
        if (evaluates)
            Assert.Equal(StepOutcome.Skipped, optimizer.Report!.Outcome);
        for (int i = 0; i < 12; i++)
            Go(randn(8, 6)); // factors come with the next interval at the latest
        var after = Optimizers.Problem.Values(model.parameters());
        Assert.NotEqual(before, after);
        Assert.All(after, v => Assert.True(double.IsFinite(v)));

        void Go(Tensor x)
        {
            if (evaluates)
                optimizer.StepOnBatch(x, zeros([8], dtype: ScalarType.Int64));
            else
                Step(model, optimizer, x);
        }
    }

    /// <summary>The gradient is finite, but the inputs' squares are not.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void A_first_batch_without_finite_factors_is_skipped(bool evaluates)
    {
        var model = nn.Sequential(("a", nn.Linear(6, 3)));
        using var optimizer = new Kfac(
            model,
            new()
            {
                Step = new AutoStep { AdaptiveDamping = evaluates ? new() : null },
                Curvature = new() { Fisher = new FisherOptions.Empirical() },
            },
            new Categorical()
        );
        var before = Optimizers.Problem.Values(model.parameters());
        var x = randn(8, 6) * 1.5e19;
        if (evaluates)
            Assert.Equal(StepOutcome.Skipped, optimizer.StepOnBatch(x, zeros([8], dtype: ScalarType.Int64)).Outcome);
        else
            Step(model, optimizer, x);
        Assert.True(model.parameters().All(p => p.grad!.isfinite().all().ToBoolean()));
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        Assert.Equal(1, optimizer.SkippedSteps);
        Assert.Contains(optimizer.Events, e => e.Message == "no layer with a gradient has factors; the step was skipped");
    }

    public static TheoryData<double, string, FisherKind> Spoils =>
        new(
            from v in (double[])[double.NaN, double.PositiveInfinity, double.NegativeInfinity]
            from p in (string[])["a.weight", "b.bias", "n.weight", "p.weight"]
            from k in (FisherKind[])[FisherKind.Empirical, FisherKind.Exact]
            select (v, p, k)
        );

    [Theory, MemberData(nameof(Spoils))]
    public void One_bad_number_in_any_gradient_skips_the_step_and_is_logged(double value, string name, FisherKind kind)
    {
        foreach (int at in (int[])[0, 3])
        {
            var model = Net();
            using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = FisherOptions.Of(kind) } }, new Categorical());
            for (int i = 0; i < at; i++)
                Step(model, optimizer, randn(8, 6));
            optimizer.zero_grad();
            new Categorical().Loss(model.call(randn(8, 6)), zeros([8], dtype: ScalarType.Int64)).backward();
            model.get_parameter(name)!.grad!.flatten()[0].fill_(value);
            var before = Optimizers.Problem.Values(model.parameters());
            optimizer.step();
            Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
            Assert.Equal(1, optimizer.SkippedSteps);
            Assert.Contains(optimizer.Events, e => e.Step == at + 1 && e.Message.Contains("skipped", StringComparison.Ordinal));
            for (int i = 0; i < 3; i++)
                Step(model, optimizer, randn(8, 6));
            var after = Optimizers.Problem.Values(model.parameters());
            Assert.NotEqual(before, after);
            Assert.All(after, v => Assert.True(double.IsFinite(v)));
        }
    }

    [
        Theory,
        InlineData(FisherKind.Empirical),
        InlineData(FisherKind.Exact),
        InlineData(FisherKind.MonteCarlo),
        InlineData(FisherKind.CurvaturePropagation),
        InlineData(FisherKind.ForwardOnly)
    ]
    public void A_bad_example_spoils_neither_factors_nor_parameters(FisherKind kind)
    {
        var model = Net();
        using var optimizer = new Kfac(
            model,
            new()
            {
                Curvature = new()
                {
                    Fisher = FisherOptions.Of(kind),
                    Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                },
            },
            new Categorical()
        );
        for (int i = 0; i < 6; i++)
        {
            var x = randn(8, 6);
            if (i is 0 or 3)
                x[2, 1] = kind == FisherKind.Empirical ? double.PositiveInfinity : double.NaN;
            Step(model, optimizer, x);
        }
        Assert.Equal(2, optimizer.SkippedSteps);
        Assert.All(
            optimizer.Snapshot().Tensors.Where(t => t.Value.is_floating_point()).SelectMany(t => Optimizers.Problem.Values([t.Value])),
            v => Assert.True(double.IsFinite(v))
        );
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
        Assert.Contains(
            optimizer.Events,
            e =>
                e.Subject == "a.weight"
                && e.Message.Contains("gradient was not finite", StringComparison.Ordinal)
                && e.Message.Contains("2 times", StringComparison.Ordinal)
        );
    }

    public static TheoryData<DampingMethod, string, double> Methods =>
        new(
            from d in Enum.GetValues<DampingMethod>()
            from i in (string[])[nameof(InverseOptions.Cholesky), nameof(InverseOptions.NewtonSchulz)]
            from s in (double[])[1e-30, 1, 1e6]
            select (d, i, s)
        );

    /// <summary>One direction in all inputs, a dead unit, and next to no damping, at extreme scales.</summary>
    [Theory, MemberData(nameof(Methods))]
    public void Rank_deficient_factors_are_survived(DampingMethod method, string inverse, double scale)
    {
        var model = nn.Sequential(("a", nn.Linear(40, 30)), ("r", nn.ReLU()), ("b", nn.Linear(30, 3)));
        using (no_grad())
            ((Linear)model[0]).bias!.narrow(0, 0, 10).fill_(-1e9);
        using var optimizer = new Kfac(
            model,
            new()
            {
                Damping = 1e-14,
                LearningRate = 1e-3,
                Curvature = new()
                {
                    Inverse =
                        method == DampingMethod.FactoredTikhonov
                            ? InverseOptions.Of(Enum.Parse<InverseMethod>(inverse))
                            : InverseOptions.Of(method),
                    Refresh = new() { InverseInterval = 2 },
                },
            },
            new Categorical()
        );
        var one = randn(1, 40);
        var before = Optimizers.Problem.Values(model.parameters());
        for (int i = 0; i < 8; i++)
            Step(model, optimizer, one * randn(i == 5 ? 1 : 4, 1) * scale);
        Assert.Equal(0, optimizer.SkippedSteps);
        Assert.NotEqual(before, Optimizers.Problem.Values(model.parameters()));
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    /// <summary>The same of factors wide enough for a low rank.</summary>
    [
        Theory,
        InlineData(nameof(InverseOptions.Nystrom), 1e-30),
        InlineData(nameof(InverseOptions.Nystrom), 1),
        InlineData(nameof(InverseOptions.Nystrom), 1e6),
        InlineData(nameof(InverseOptions.Auto), 1)
    ]
    public void Wide_rank_deficient_factors_are_survived(string inverse, double scale)
    {
        var model = nn.Sequential(("a", nn.Linear(200, 150)), ("r", nn.ReLU()), ("b", nn.Linear(150, 3)));
        using (no_grad())
            ((Linear)model[0]).bias!.narrow(0, 0, 50).fill_(-1e9);
        using var optimizer = new Kfac(
            model,
            new()
            {
                Damping = 1e-14,
                LearningRate = 1e-3,
                Curvature = new()
                {
                    Inverse = InverseOptions.Of(Enum.Parse<InverseMethod>(inverse)),
                    Refresh = new() { FactorInterval = 1, InverseInterval = 2 },
                },
            },
            new Categorical()
        );
        var (one, other) = (randn(1, 200), randn(1, 200));
        var before = Optimizers.Problem.Values(model.parameters());
        for (int i = 0; i < 10; i++)
            Step(model, optimizer, (i < 6 ? one : other) * randn(i == 5 ? 1 : 4, 1) * scale); // another direction, of a sudden
        Assert.Equal(0, optimizer.SkippedSteps);
        Assert.NotEqual(before, Optimizers.Problem.Values(model.parameters()));
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    [Theory, InlineData(false, 6), InlineData(true, 6), InlineData(false, 140)]
    public void Live_tensors_stay_flat_over_a_thousand_steps(bool adaptive, int inputs)
    {
        using var model = nn.Sequential(("a", nn.Linear(inputs, 5)), ("d", nn.PReLU(1)), ("b", nn.Linear(5, 3)));
        Kfac.Options options =
            inputs > 6
                ? new()
                {
                    Curvature = new()
                    {
                        Refresh = new()
                        {
                            FactorInterval = 2,
                            InverseInterval = 4,
                            Warmup = 0.5,
                        },
                    },
                }
            : adaptive
                ? new()
                {
                    StepRejection = true,
                    Step = new QuadraticStep
                    {
                        BatchSize = 2,
                        AdaptiveDamping = new(),
                        FactorDamping = new(),
                    },
                }
            : new()
            {
                Curvature = new()
                {
                    Fisher = new FisherOptions.MonteCarlo { Samples = 2 },
                    Inverse = new InverseOptions.NewtonSchulz(),
                    FactorBatchSize = 4,
                    FactorPrecision = MatmulPrecision.BFloat16,
                    Refresh = new() { TimeFraction = 0.3 },
                },
            };
        using var optimizer = new Kfac(model, options, new Categorical());
        using var x = randn(8, inputs);
        using var y = randint(0, 3, [8]);
        long early = 0;
        for (int i = 0; i < 1000; i++)
        {
            if (i == 100)
                early = Tensor.TotalCount;
            using var scope = NewDisposeScope();
            if (adaptive)
            {
                optimizer.StepOnBatch(x, y);
                continue;
            }
            optimizer.zero_grad();
            new Categorical().Loss(model.call(x), y).backward();
            optimizer.step();
        }
        Assert.InRange(Tensor.TotalCount, 0, early); // fewer when the collector found garbage of other tests
    }
}
