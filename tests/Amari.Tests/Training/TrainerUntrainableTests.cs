using Amari.Ranks;
using Amari.Tests.Workloads;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Models whose loss has no derivative, or that cannot take their data: planning, training and verifying say so in one
/// sentence.</summary>
public sealed class TrainerUntrainableTests
{
    private const string NoGraph = "The loss does not depend on the parameters";
    private static readonly Dictionary<string, string> None = [];

    public static TheoryData<string> Optimizers => [.. OptimizerCatalog.All.Select(o => o.Name)];

    private static Trainer Of(Func<Tensor, Tensor> between, ScalarType type = ScalarType.Float32, string optimizer = "sgd") =>
        new(LabelSquares.For(optimizer, new Odd(between, type)), null);

    [Theory, MemberData(nameof(Optimizers))]
    public void A_detached_model_is_refused_with_every_optimizer(string name)
    {
        using var trainer = Of(h => h.detach(), optimizer: name);
        var plan = Planner.Predict(trainer, new(name, None), steps: 1, maxSeconds: 1e-9);
        Assert.StartsWith(NoGraph, plan.Refused, StringComparison.Ordinal);
        Assert.DoesNotContain("\n", plan.Refused, StringComparison.Ordinal);
        var run = trainer.Attempt(new(new(name, None), 0, Budget.OfEpochs(1)), default);
        Assert.Equal(RunStatus.Failed, run.Status);
        Assert.StartsWith(NoGraph, run.Failure!.Message, StringComparison.Ordinal);
    }

    [Theory, InlineData("sgd"), InlineData("kfac"), InlineData("lbfgs")]
    public void So_is_one_that_edits_what_its_derivative_needs(string name)
    {
        using var trainer = Of(h =>
        {
            var (e, f) = (h.exp(), h.exp());
            var product = e * f;
            using (no_grad())
                e.add_(1);
            return product;
        });
        Assert.Contains(
            "was changed in place",
            Planner.Predict(trainer, new(name, None), steps: 1, maxSeconds: 1e-9).Refused,
            StringComparison.Ordinal
        );
    }

    private sealed class Silent : SilentWorkload;

    private sealed class NotFinite : NotFiniteWorkload;

    [Theory, InlineData("adamw"), InlineData("kfac"), InlineData("newton-cg")]
    public void So_is_one_that_returns_no_output(string name)
    {
        using var trainer = new Trainer(new Silent(), null);
        const string expected = "The model Sandwich returned null";
        var run = trainer.Attempt(new(new(name, None), 0, Budget.OfEpochs(1)), default);
        Assert.StartsWith(expected, run.Failure!.Message, StringComparison.Ordinal);
        using var model = trainer.Workload.CreateModel();
        var data = trainer.Data.Train;
        var refused = Assert.Throws<InvalidOperationException>(() => Verifier.Verify(model, new Gaussian(), data.Inputs, data.Targets));
        Assert.StartsWith(expected, refused.Message, StringComparison.Ordinal);
    }

    [Theory, InlineData("adamw"), InlineData("kfac")]
    public void Data_that_are_not_finite_are_counted(string name)
    {
        using var trainer = new Trainer(new NotFinite(), null);
        var run = trainer.Train(new(name, None), 0, Budget.OfEpochs(1));
        Assert.Equal(RunStatus.Diverged, run.Status);
        Assert.Equal(
            "The data contain numbers that are not finite: 1 in the training inputs, 3 in the held-out targets.",
            Assert.Single(run.Events, e => e.Subject == "data").Message
        );
    }

    [Theory, MemberData(nameof(Optimizers))]
    public void So_is_one_of_another_type_than_its_data(string name)
    {
        using var trainer = Of(h => h, ScalarType.Float64, name);
        string? refused = Planner.Predict(trainer, new(name, None), steps: 1, maxSeconds: 1e-9).Refused;
        Assert.StartsWith("The inputs are Float64 where the model's parameters are Float32", refused, StringComparison.Ordinal);
        Assert.DoesNotContain("\n", refused, StringComparison.Ordinal);
    }

    [Fact]
    public void KFac_and_a_verifier_say_it_too()
    {
        using var scope = NewDisposeScope();
        var odd = new Odd(h => h.detach());
        var data = odd.Load(null).Train;
        var model = odd.CreateModel();
        using var kfac = new Kfac(model, null, odd.Likelihood);
        Assert.StartsWith(
            NoGraph,
            Assert.Throws<InvalidOperationException>(() => kfac.StepOnBatch(data.Inputs, data.Targets)).Message,
            StringComparison.Ordinal
        );
        var check = Verifier.Verify(model, odd.Likelihood, data.Inputs, data.Targets).Checks.Single(c => c.Name == "k-fac");
        Assert.Equal(CheckOutcome.Unavailable, check.Outcome);
        Assert.StartsWith(NoGraph, check.Note, StringComparison.Ordinal);
    }

    private sealed class Odd(Func<Tensor, Tensor> between, ScalarType type = ScalarType.Float32) : SmallWorkload("odd", 8)
    {
        public override WorkloadData Load(string? directory)
        {
            using var generator = new Generator(3);
            return new(new(randn([24, 4], dtype: type, generator: generator), randint(0, 3, [24], generator: generator)), null);
        }

        public override nn.Module<Tensor, Tensor> CreateModel() => new Net(between);
    }

    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Linear _first = nn.Linear(4, 5),
            _last = nn.Linear(5, 3);
        private readonly Func<Tensor, Tensor> _between;

        public Net(Func<Tensor, Tensor> between)
            : base(nameof(Net))
        {
            _between = between;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => _between(_last.call(_first.call(x).tanh()));
    }
}
