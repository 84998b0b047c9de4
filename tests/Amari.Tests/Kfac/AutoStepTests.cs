using Amari.Curvature;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>When the quadratic model takes the place of fixed steps, by itself.</summary>
public sealed class AutoStepTests : StepRuleTest
{
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
        Assert.InRange(Tensor.TotalCount - live, long.MinValue, 20); // fewer where other tests' tensors are collected meanwhile

        void Go(int seed)
        {
            using var scope = NewDisposeScope();
            var (x, y) = Batch(16, seed);
            model.call(x);
            Step(model, optimizer, x, y);
        }
    }
}
