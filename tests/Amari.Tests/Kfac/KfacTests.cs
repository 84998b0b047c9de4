using Amari.Curvature;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>What K-FAC promises as an optimizer: schedulers, closures, the fall-back, safety.</summary>
public sealed class KfacTests : MixedModelTest
{
    [Fact]
    public void Fisher_needs_a_likelihood()
    {
        Assert.Throws<ArgumentException>(() => new Kfac(Model(), new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }));
        using var optimizer = new Kfac(Model());
        Assert.Equal(FisherKind.Empirical, optimizer.Fisher);
    }

    [Fact]
    public void TorchSharp_s_schedulers_drive_it() =>
        Contracts.ContractTests.AreDriven(() =>
        {
            var model = Model();
            var optimizer = new Kfac(model, Base with { Step = (AutoStep)Base.Step with { KlClip = null } }, new Categorical());
            return (optimizer, [.. model.parameters()], i => Step(model, optimizer, i));
        });

    /// <summary>A schedule of absolute rates is one of K-FAC's; AdamW's rises and falls as much.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void The_fall_back_follows_the_rate_of_its_group_in_proportion(bool absolute)
    {
        var model = Model();
        using var optimizer = new Kfac(
            model,
            Base with
            {
                LearningRate = 0.2,
                Fallback = new() { LearningRate = 0.02 },
            },
            new Categorical()
        );
        var scheduler = absolute
            ? optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps: 10)
            : optim.lr_scheduler.StepLR(optimizer, 1, 0.5);
        var slope = model.get_parameter("p.weight")!;
        var twin = nn.Parameter(slope.detach().clone());
        using var alone = new AdamW([ParameterGroup.Of([twin], new AdamW.Options())]);
        for (int i = 0; i < 8; i++)
        {
            alone.Groups[0].LearningRate = 0.02 * (optimizer.ParamGroups.Single().LearningRate / 0.2);
            Step(model, optimizer, i);
            twin.grad = slope.grad!.clone();
            alone.step();
            Optimizers.Trajectory.Near(Optimizers.Problem.Values([twin]), Optimizers.Problem.Values([slope]), 1e-7);
            scheduler.step();
        }
        Assert.Equal(absolute, optimizer.Group.Momentum != Base.CycledMomentum);
    }

    [Fact]
    public void Each_group_s_fall_back_follows_its_own_rate()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 3)), ("p", nn.PReLU(1)), ("b", nn.Linear(3, 3)), ("q", nn.PReLU(1)));
        var parameters = model.named_parameters().ToLookup(p => p.name[0] is 'a' or 'p');
        var own = new Kfac.GroupOptions
        {
            LearningRate = Base.LearningRate,
            Damping = Base.Damping,
            Fallback = Base.Fallback,
        };
        var first = new ParameterGroup<Kfac.Options>(parameters[true], Base);
        ParameterGroup<Kfac.GroupOptions>[] groups = [new(parameters[false], own)];
        using var optimizer = new Kfac(first, groups, model, new Categorical());
        Assert.Equal([first, .. groups], optimizer.ParamGroups);
        foreach (double rate in (double[])[0.1, 0])
        {
            groups[0].LearningRate = rate;
            var before = Optimizers.Problem.Values([model.get_parameter("p.weight")!, model.get_parameter("q.weight")!]);
            optimizer.zero_grad();
            new Categorical().Loss(model.call(randn(6, 4)), randint(0, 3, [6])).backward();
            optimizer.step();
            var after = Optimizers.Problem.Values([model.get_parameter("p.weight")!, model.get_parameter("q.weight")!]);
            Assert.Equal([true, rate > 0], before.Zip(after, (b, a) => b != a));
        }
    }

    [Fact]
    public void A_closure_is_evaluated_first_and_its_loss_returned()
    {
        var (model, closed) = (Model(), Model());
        using var a = new Kfac(model, Base, new Categorical());
        using var b = new Kfac(closed, Base, new Categorical());
        for (int i = 0; i < 4; i++)
        {
            Step(model, a, i);
            using var generator = new Generator((ulong)i);
            var (x, y) = (randn([6, 1, 4, 4], generator: generator), randint(0, 3, [6], generator: generator));
            Tensor? made = null;
            using (no_grad())
                Assert.Same(
                    b.step(() =>
                    {
                        b.zero_grad();
                        made = new Categorical().Loss(closed.call(x), y);
                        made.backward();
                        return made;
                    }),
                    made
                );
        }
        Assert.Equal(Optimizers.Problem.Values(model.parameters()), Optimizers.Problem.Values(closed.parameters()));
    }

    [Fact]
    public void Scales_of_normalisations_are_not_decayed()
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var model = nn.Sequential(
            ("a", nn.Linear(6, 6)),
            ("r", nn.Unflatten(1, [2, 3])),
            ("n", nn.LayerNorm([2, 3])),
            ("f", nn.Flatten()),
            ("b", nn.Linear(6, 3))
        );
        double[] Change(double decay)
        {
            var twin = nn.Sequential(
                ("a", nn.Linear(6, 6)),
                ("r", nn.Unflatten(1, [2, 3])),
                ("n", nn.LayerNorm([2, 3])),
                ("f", nn.Flatten()),
                ("b", nn.Linear(6, 3))
            );
            using (no_grad())
                foreach (var (p, q) in twin.parameters().Zip(model.parameters()))
                    p.copy_(q);
            using var optimizer = new Kfac(twin, Base with { WeightDecay = decay, LearningRate = 0.1, Seed = 1 }, new Categorical());
            using var generator = new Generator(5);
            new Categorical().Loss(twin.call(randn([6, 6], generator: generator)), randint(0, 3, [6], generator: generator)).backward();
            optimizer.step();
            return Optimizers.Problem.Values([twin.get_parameter("n.weight")!]);
        }
        Assert.Equal(Change(0), Change(0.5));
    }

    [Fact]
    public void Bfloat16_parameters_are_trained()
    {
        var model = nn.Sequential(("a", nn.Linear(8, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(ScalarType.BFloat16);
        var before = Optimizers.Problem.Values(model.parameters());
        using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Empirical() } });
        for (int i = 0; i < 3; i++)
        {
            optimizer.zero_grad();
            model.call(randn(6, 8).to_type(ScalarType.BFloat16)).square().mean().backward();
            optimizer.step();
        }
        var after = Optimizers.Problem.Values(model.parameters());
        Assert.NotEqual(before, after);
        Assert.All(after, v => Assert.True(double.IsFinite(v)));
    }

    [Fact]
    public void Gradient_that_is_not_finite_is_skipped_counted_and_logged()
    {
        var model = Model();
        using var optimizer = new Kfac(model, Base, new Categorical());
        for (int i = 0; i < 3; i++)
            Step(model, optimizer, i);
        var before = Optimizers.Problem.Values(model.parameters());
        foreach (var p in model.parameters())
            p.grad!.fill_(double.NaN);
        optimizer.step();
        Assert.Equal(1, optimizer.SkippedSteps);
        Assert.Contains(optimizer.Events, e => e.Message.Contains("skipped", StringComparison.Ordinal));
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        for (int i = 4; i < 7; i++)
            Step(model, optimizer, i);
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    [Theory, InlineData(DampingMethod.Eigenbasis), InlineData(DampingMethod.FactoredTikhonov), InlineData(DampingMethod.Ekfac)]
    public void Dead_units_constant_inputs_and_single_examples_do_not_stop_training(DampingMethod method)
    {
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(6, 8)), ("r", nn.ReLU()), ("b", nn.Linear(8, 3)));
        using (no_grad())
            ((Linear)model[0]).bias!.fill_(-100); // all dead
        using var optimizer = new Kfac(
            model,
            Base with
            {
                Curvature = Base.Curvature with { Inverse = InverseOptions.Of(method) },
            },
            new Categorical()
        );
        var before = Optimizers.Problem.Values(model.parameters());
        for (int i = 0; i < 8; i++)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(zeros(1, 6)), tensor(new long[] { 1 })).backward();
            optimizer.step();
        }
        Assert.Equal(0, optimizer.SkippedSteps);
        Assert.NotEqual(before, Optimizers.Problem.Values(model.parameters()));
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }
}
