using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Layers that are used for the first time in the middle of a run, now and then, or never; gradients that are missing or
/// sparse.</summary>
public sealed class KroneckerEstimateLateTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>A layer that is not used unless it is asked for.</summary>
    private sealed class Branch : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4),
            late = nn.Linear(4, 4),
            last = nn.Linear(4, 3);

        public Branch()
            : base("branch") => RegisterComponents();

        public bool UsesLate { get; set; }

        public Linear Late => late;

        public override Tensor forward(Tensor x)
        {
            var h = first.call(x).tanh();
            return last.call(UsesLate ? late.call(h).tanh() : h);
        }
    }

    private static Branch Model()
    {
        manual_seed(31);
        return new();
    }

    /// <summary>One step with the late layer or without.</summary>
    /// <returns>Whether the late layer moved.</returns>
    private static bool Step(Branch model, Kfac optimizer, int seed, bool late)
    {
        using var generator = new Generator((ulong)seed);
        model.UsesLate = late;
        var before = Optimizers.Problem.Values(model.Late.parameters());
        optimizer.zero_grad();
        new Categorical().Loss(model.call(randn([6, 4], generator: generator)), randint(0, 3, [6], generator: generator)).backward();
        optimizer.step();
        return !before.SequenceEqual(Optimizers.Problem.Values(model.Late.parameters()));
    }

    private static readonly Kfac.Options Slow = new()
    {
        Strict = true,
        Curvature = new()
        {
            Refresh = new()
            {
                FactorInterval = 10,
                InverseInterval = 20,
                Warmup = null,
            },
        },
    };

    [Theory, InlineData(FisherKind.Exact), InlineData(FisherKind.Empirical)]
    public void A_layer_first_used_between_measurements_is_measured_at_its_next_use(FisherKind kind)
    {
        var model = Model();
        using var optimizer = new Kfac(
            model,
            Slow with
            {
                Curvature = Slow.Curvature with { Fisher = FisherOptions.Of(kind) },
            },
            new Categorical()
        );
        bool[] uses = [false, false, true, false, false, true, true, true];
        bool[] moved = [.. uses.Select((late, i) => Step(model, optimizer, i, late))];
        Assert.Equal([false, false, false, false, false, true, true, true], moved);
        var logged = Assert.Single(optimizer.Events, e => e.Subject == "late");
        Assert.Equal(3, logged.Step);
        Assert.Contains("no factors yet", logged.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_resumed_run_measures_it_as_the_uninterrupted_one()
    {
        bool[] uses = [false, true, false, true, true, false];
        var (whole, first, second) = (Model(), Model(), Model());
        using var straight = new Kfac(whole, Slow, new Categorical());
        for (int i = 0; i < uses.Length; i++)
            Step(whole, straight, i, uses[i]);
        using var before = new Kfac(first, Slow, new Categorical());
        for (int i = 0; i < 2; i++)
            Step(first, before, i, uses[i]);
        using (no_grad())
            foreach (var (p, q) in second.parameters().Zip(first.parameters()))
                p.copy_(q);
        using var after = new Kfac(second, Slow, new Categorical());
        after.Restore(before.Snapshot());
        for (int i = 2; i < uses.Length; i++)
            Step(second, after, i, uses[i]);
        Assert.Equal(Optimizers.Problem.Values(whole.parameters()), Optimizers.Problem.Values(second.parameters()));
        Assert.Equal(straight.Events, after.Events);
    }

    [Theory, InlineData(FisherKind.Exact), InlineData(FisherKind.Empirical)]
    public void A_first_measurement_that_is_not_finite_is_repeated(FisherKind kind)
    {
        var model = Model();
        using var optimizer = new Kfac(
            model,
            Slow with
            {
                Curvature = Slow.Curvature with { Fisher = FisherOptions.Of(kind) },
            },
            new Categorical()
        );
        var x = randn(6, 4);
        x[2, 1] = double.NaN;
        new Categorical().Loss(model.call(x), zeros([6], dtype: ScalarType.Int64)).backward();
        optimizer.step();
        var before = Optimizers.Problem.Values(model.parameters());
        Step(model, optimizer, 1, late: false);
        Assert.NotEqual(before, Optimizers.Problem.Values(model.parameters()));
    }

    /// <summary>zero_grad leaves zeros where there was a gradient.</summary>
    [Fact]
    public void A_layer_that_rests_when_factors_are_measured_keeps_its_block()
    {
        var model = Model();
        using var optimizer = new Kfac(
            model,
            Slow with
            {
                Curvature = Slow.Curvature with { Refresh = Slow.Curvature.Refresh with { FactorInterval = 3 } },
            },
            new Categorical()
        );
        bool[] uses = [false, true, false, false, false, false, false, true]; // factors are measured at the steps 1, 4 and 7
        bool[] moved = [.. uses.Select((late, i) => Step(model, optimizer, i, late))];
        Assert.Equal([.. uses.Select((_, i) => i == 7)], moved);
        Assert.Equal("K-FAC Linear", optimizer.Coverage.Rows.Single(r => r.Parameter == "late.weight").Block);
        Assert.DoesNotContain(optimizer.Events, e => e.Message.Contains("AdamW", StringComparison.Ordinal));
    }

    /// <summary>Layers without a gradient, with a block and without, are as if they were not there.</summary>
    [Fact]
    public void Parameters_without_a_gradient_stay_and_change_nothing_for_the_others()
    {
        double[] Run(bool alone)
        {
            var model = Model();
            var parts = model.named_parameters().Where(p => !alone || !p.name.StartsWith("late", StringComparison.Ordinal));
            using var optimizer = new Kfac(
                new ParameterGroup<Kfac.Options>(
                    parts,
                    Slow with
                    {
                        Strict = false,
                        Curvature = Slow.Curvature with { Refresh = Slow.Curvature.Refresh with { FactorInterval = 2 } },
                    }
                ),
                [],
                model,
                new Categorical()
            )
            {
                MaxGradientNorm = 0.5,
            };
            for (int i = 0; i < 5; i++)
                Assert.False(Step(model, optimizer, i, late: false));
            Assert.DoesNotContain(optimizer.Events, e => e.Subject == "late");
            return Optimizers.Problem.Values(model.parameters());
        }
        Assert.Equal(Run(alone: true), Run(alone: false));
    }

    [Fact]
    public void A_bias_without_a_gradient_stays_and_counts_as_one_of_zero()
    {
        (double[] Bias, double[] Others) Run(bool zero)
        {
            var model = Model();
            using var optimizer = new Kfac(
                model,
                Slow with
                {
                    Curvature = Slow.Curvature with { Refresh = Slow.Curvature.Refresh with { FactorInterval = 2 } },
                },
                new Categorical()
            )
            {
                MaxGradientNorm = 0.5,
            };
            var bias = model.get_parameter("first.bias")!;
            var before = Optimizers.Problem.Values([bias]);
            using var generator = new Generator(1);
            new Categorical().Loss(model.call(randn([6, 4], generator: generator)), randint(0, 3, [6], generator: generator)).backward();
            bias.grad = zero ? zeros_like(bias) : null;
            optimizer.step();
            return (
                [.. Optimizers.Problem.Values([bias]).Zip(before, (b, a) => b - a)],
                Optimizers.Problem.Values(model.named_parameters().Where(p => p.name != "first.bias").Select(p => p.parameter))
            );
        }
        var (zero, none) = (Run(zero: true), Run(zero: false));
        Assert.Equal(zero.Others, none.Others);
        Assert.All(none.Bias, d => Assert.Equal(0, d));
        Assert.Contains(zero.Bias, d => d != 0);
    }

    [Theory, InlineData(FisherKind.Exact), InlineData(FisherKind.Empirical)]
    public void Sparse_gradients_are_the_dense_ones(FisherKind kind)
    {
        (double[] Values, double Norm) Run(bool sparse)
        {
            manual_seed(32);
            var model = nn.Sequential(("e", nn.Embedding(9, 4, sparse: sparse)), ("f", nn.Flatten()), ("b", nn.Linear(12, 3)))
                .to(ScalarType.Float64);
            using var optimizer = new Kfac(
                model,
                Slow with
                {
                    Curvature = Slow.Curvature with
                    {
                        Fisher = FisherOptions.Of(kind),
                        Refresh = Slow.Curvature.Refresh with { FactorInterval = 2 },
                    },
                },
                new Categorical()
            )
            {
                MaxGradientNorm = 0.5,
            };
            using var generator = new Generator(3);
            for (int i = 0; i < 5; i++)
            {
                var (x, y) = (randint(0, 9, [6, 3], generator: generator), randint(0, 3, [6], generator: generator));
                optimizer.zero_grad();
                new Categorical().Loss(model.call(x), y).backward();
                using (var g = model.get_parameter("e.weight")!.grad)
                    Assert.Equal(sparse, g!.is_sparse);
                optimizer.step();
            }
            return (Optimizers.Problem.Values(model.parameters()), optimizer.GradientNorm);
        }
        var (dense, sparse) = (Run(false), Run(true));
        Optimizers.Trajectory.Near(dense.Values, sparse.Values, 1e-12);
        Assert.Equal(dense.Norm, sparse.Norm, 1e-12);
    }
}
