using Amari.Curvature;
using Amari.Distributed;
using Amari.Kronecker;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>The quadratic model's rule behind the ordinary step(): when it is taken, what schedules make of it, the identity that G begins
/// as, and what holds its steps.</summary>
public sealed class QuadraticStepTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public QuadraticStepTests()
    {
        manual_seed(17);
        set_default_dtype(ScalarType.Float64);
    }

    public void Dispose()
    {
        set_default_dtype(ScalarType.Float32);
        _scope.Dispose();
    }

    private static readonly Kfac.Options Quadratic = new()
    {
        Step = new QuadraticStep(),
        Curvature = new() { Fisher = new FisherOptions.Exact() },
    };

    private static nn.Module<Tensor, Tensor> Net()
    {
        manual_seed(5);
        return nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3)));
    }

    private static (Tensor X, Tensor Y) Batch(int n, int seed = 9)
    {
        manual_seed(seed);
        return (2 * randn(n, 4), randint(0, 3, [n]));
    }

    private static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, Tensor x, Tensor y)
    {
        optimizer.zero_grad();
        new Categorical().Loss(model.call(x), y).backward();
        optimizer.step();
    }

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
    public void Large_batches_take_the_quadratic_model_and_log_it_once()
    {
        Assert.IsType<QuadraticStep>(Chosen(new() { Step = new AutoStep { BatchSize = 2 } }, 32));
        Assert.IsType<FixedStep>(Chosen(new() { Step = new AutoStep { BatchSize = 2 } }, 31));
        Assert.IsType<FixedStep>(Chosen(new() { Step = new AutoStep { BatchSize = null } }, 600));
        Assert.IsType<FixedStep>(Chosen(new(), 511));
        Assert.IsType<QuadraticStep>(Chosen(new(), 512));
        Assert.IsType<FixedStep>(Chosen(new() { Step = new FixedStep() }, 512));
        Assert.IsType<QuadraticStep>(Chosen(new() { Step = new QuadraticStep() }, 8));
        Assert.IsType<FixedStep>(Chosen(new() { Curvature = new() { Fisher = new FisherOptions.ForwardOnly() } }, 512));
        Assert.IsType<FixedStep>(Chosen(new(), 512, likelihood: false));

        static StepRule Chosen(Kfac.Options options, int batch, bool likelihood = true)
        {
            var model = Net();
            using var optimizer = new Kfac(model, options, likelihood ? new Categorical() : null);
            for (int i = 0; i < 2; i++)
            {
                var (x, y) = Batch(batch, i);
                Step(model, optimizer, x, y);
            }
            Assert.Equal(
                options.Step is AutoStep && optimizer.StepRule is QuadraticStep ? 1 : 0,
                optimizer.Events.Count(e => e.Message.StartsWith("steps are of the quadratic model", StringComparison.Ordinal))
            );
            return optimizer.StepRule;
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

    [Fact]
    public void Output_factors_begin_as_the_identity_which_fades_with_each_measurement()
    {
        const double Decay = 0.8,
            Start = 3;
        List<Kfac> optimizers = [];
        foreach (double identity in new[] { 0, Start })
        {
            var model = Net();
            var optimizer = new Kfac(
                model,
                new()
                {
                    LearningRate = 0,
                    Step = new FixedStep(),
                    Curvature = new()
                    {
                        Fisher = new FisherOptions.Exact(),
                        FactorEma = Decay,
                        IdentityStart = identity,
                        Refresh = new() { FactorInterval = 1 },
                    },
                },
                new Categorical()
            );
            optimizers.Add(optimizer);
            for (int i = 0; i < 9; i++)
            {
                var (x, y) = Batch(16, i);
                Step(model, optimizer, x, y);
                if (identity == 0)
                    continue;
                var plain = Net();
                using var without = new Kfac(
                    plain,
                    new()
                    {
                        LearningRate = 0,
                        Step = new FixedStep(),
                        Curvature = new()
                        {
                            Fisher = new FisherOptions.Exact(),
                            FactorEma = Decay,
                            Refresh = new() { FactorInterval = 1 },
                        },
                    },
                    new Categorical()
                );
                for (int k = 0; k <= i; k++)
                {
                    var (u, v) = Batch(16, k);
                    Step(plain, without, u, v);
                }
                foreach (
                    var (a, b) in optimizer.Estimate.Blocks.OfType<KroneckerBlock>().Zip(without.Estimate.Blocks.OfType<KroneckerBlock>())
                )
                {
                    Assert.InRange(Dense.RelativeError(a.G!, b.G! + Start * Math.Pow(Decay, i + 1) * eye(b.G!.shape[0])), 0, 1e-12);
                    Assert.InRange(Dense.RelativeError(a.A!, b.A!), 0, 1e-15);
                }
            }
        }
        foreach (var o in optimizers)
            o.Dispose();
    }

    public static TheoryData<string> Natural => ["categorical", "bernoulli", "gaussian", "poisson"];

    /// <summary>How the change of the loss is known without its targets.</summary>
    [Theory, MemberData(nameof(Natural))]
    public void The_loss_changes_by_the_score_along_the_outputs_and_the_divergence(string name)
    {
        var (f, g) = (randn(8, 3), 3 * randn(8, 3));
        (Likelihood likelihood, Tensor y) = name switch
        {
            "categorical" => ((Likelihood)new Categorical(), randint(0, 3, [8])),
            "bernoulli" => (new Bernoulli(), randint(0, 2, [8, 3]).to(ScalarType.Float64)),
            "gaussian" => (new Gaussian(), randn(8, 3)),
            _ => (new Poisson(), randint(0, 5, [8, 3]).to(ScalarType.Float64)),
        };
        Assert.True(likelihood.IsNatural);
        double change = (likelihood.SumNegativeLogLikelihood(g, y) - likelihood.SumNegativeLogLikelihood(f, y)).ToDouble();
        double found = (likelihood.Score(f, y).mul(g - f).sum() + likelihood.KlDivergence(f, g).sum()).ToDouble();
        Assert.Equal(change, found, 1e-9 * Math.Abs(change));
        Assert.False(new HeteroscedasticGaussian().IsNatural);
    }

    [Fact]
    public void A_resumed_run_equals_an_uninterrupted_one_bit_for_bit()
    {
        Kfac.Options options = new()
        {
            MaxGrowth = 1.2,
            Step = new AutoStep { BatchSize = 2 },
        };
        Assert.Equal(Run(-1), Run(5));

        double[] Run(int resumeAt)
        {
            var model = Net();
            var optimizer = new Kfac(model, options, new Categorical());
            for (int i = 0; i < 12; i++)
            {
                if (i == resumeAt)
                {
                    var saved = optimizer.Snapshot();
                    var values = System.Text.Json.Nodes.JsonNode.Parse(saved.Values.ToJsonString())!.AsObject();
                    var copies = saved.Tensors.ToDictionary(t => t.Key, t => t.Value.clone());
                    optimizer.Dispose();
                    optimizer = new(model, options, new Categorical());
                    optimizer.Restore(new(copies, values));
                }
                optimizer.Group.LearningRate = i < 4 ? 0.1 : 0.05;
                var (x, y) = Batch(40, i);
                Step(model, optimizer, x, y);
            }
            Assert.IsType<QuadraticStep>(optimizer.StepRule);
            optimizer.Dispose();
            return Optimizers.Problem.Values(model.parameters());
        }
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

    /// <summary>The model's own dropout, one in a function, micro-batches, and outputs that are no natural parameters.</summary>
    [Theory, InlineData("module"), InlineData("function"), InlineData("accumulated"), InlineData("variance"), InlineData("plain")]
    public void Steps_are_fixed_where_model_and_gradient_are_of_different_functions(string what)
    {
        manual_seed(3);
        var layers = nn.Sequential(
            ("a", nn.Linear(4, 6)),
            ("t", nn.Tanh()),
            ("d", what == "module" ? nn.Dropout(0.5) : nn.Identity()),
            ("b", nn.Linear(6, 4))
        );
        using nn.Module<Tensor, Tensor> model = what == "function" ? new Noisy(layers) : layers;
        Likelihood likelihood = what == "variance" ? new HeteroscedasticGaussian() : new Categorical();
        using var optimizer = new Kfac(model, new() { Step = new AutoStep { BatchSize = 2 } }, likelihood);
        optimizer.zero_grad();
        for (int i = 0; i < (what == "accumulated" ? 2 : 1); i++)
        {
            var x = randn(32, 4);
            likelihood.Loss(model.call(x), what == "variance" ? randn(32, 2) : randint(0, 4, [32])).backward();
        }
        optimizer.step();
        Assert.Equal(what == "plain", optimizer.StepRule is QuadraticStep);
    }

    private sealed class Noisy : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> inner;

        public Noisy(nn.Module<Tensor, Tensor> layers)
            : base("noisy") => (inner, _) = (layers, 0);

        public override Tensor forward(Tensor x) => nn.functional.dropout(inner.call(x), 0.5, training);

        private int _
        {
            get => 0;
            init => RegisterComponents();
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

    [Fact]
    public void Passes_that_are_never_propagated_back_leave_no_tensors_behind()
    {
        var model = Net();
        using var optimizer = new Kfac(
            model,
            new()
            {
                Curvature = new()
                {
                    Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                },
            },
            new Categorical()
        );
        for (int i = 0; i < 6; i++)
            Go(i);
        long live = Tensor.TotalCount;
        for (int i = 0; i < 40; i++)
            Go(i);
        Assert.InRange(Tensor.TotalCount - live, -20, 20);

        void Go(int seed)
        {
            using var scope = NewDisposeScope();
            var (x, y) = Batch(16, seed);
            model.call(x);
            Step(model, optimizer, x, y);
        }
    }
}
