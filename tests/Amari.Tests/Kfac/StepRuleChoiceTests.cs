namespace Amari.Tests.KfacOptimizer;

/// <summary>Each rule keeps what it has learnt while another is in force.</summary>
public sealed class StepRuleChoiceTests() : KfacTest(91)
{
    private static readonly QuadraticStep Modelled = new()
    {
        BatchSize = 4,
        FactorDamping = new() { Interval = 2, Decay = 0.5 },
    };

    private static (Kfac Optimizer, Sequential Model) Make(StepRule rule)
    {
        manual_seed(4);
        var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
        return (new(model, new() { Step = rule }, new Categorical()), model);
    }

    private static void Train((Kfac Optimizer, Sequential Model) run, int from, int to)
    {
        for (int i = from; i < to; i++)
        {
            using var data = new Generator((ulong)i);
            var (x, y) = (randn([32, 4], generator: data), randint(0, 3, [32], generator: data));
            run.Optimizer.zero_grad();
            new Categorical().Loss(run.Model.call(x), y).backward();
            run.Optimizer.step();
        }
    }

    private static string Learnt(Kfac optimizer, params string[] names) =>
        string.Join(", ", names.Select(n => optimizer.Snapshot().Values[n]?.ToJsonString()));

    private static void Take(Kfac optimizer, StepRule rule) => optimizer.Group.Options = optimizer.Group.Options with { Step = rule };

    [Fact]
    public void Quadratic_model_rests_while_steps_are_fixed()
    {
        var run = Make(Modelled);
        using var optimizer = run.Optimizer;
        Train(run, 0, 5);
        double gamma = optimizer.FactorDamping;
        Assert.NotEqual(optimizer.Damping, gamma);
        string learnt = Learnt(optimizer, "factorDamping", "length", "divergence");
        string bound = Learnt(optimizer, "growth");
        Take(optimizer, new FixedStep());
        Assert.Equal(optimizer.Damping, optimizer.FactorDamping);
        Train(run, 5, 8);
        Assert.Equal(learnt, Learnt(optimizer, "factorDamping", "length", "divergence"));
        Assert.NotEqual(bound, Learnt(optimizer, "growth")); // that is of all rules
        Take(optimizer, Modelled);
        Assert.Equal(gamma, optimizer.FactorDamping);
        Train(run, 8, 10);
        Assert.NotEqual(learnt, Learnt(optimizer, "factorDamping", "length", "divergence"));
    }

    /// <summary>Saved while the rule rests.</summary>
    [Fact]
    public void Resumed_run_goes_on_by_either_rule_bit_for_bit()
    {
        var (whole, first, second) = (Make(Modelled), Make(Modelled), Make(new FixedStep()));
        using var a = whole.Optimizer;
        using var b = first.Optimizer;
        using var c = second.Optimizer;
        foreach (var run in new[] { whole, first })
        {
            Train(run, 0, 4);
            Take(run.Optimizer, new FixedStep());
            Train(run, 4, 6);
        }
        second.Model.load_state_dict(first.Model.state_dict());
        c.Restore(b.Snapshot());
        foreach (var run in new[] { whole, second })
        {
            Train(run, 6, 7);
            Take(run.Optimizer, Modelled);
            Train(run, 7, 11);
        }
        Assert.Equal(Optimizers.Problem.Values(whole.Model.parameters()), Optimizers.Problem.Values(second.Model.parameters()));
        Assert.Equal(a.FactorDamping, c.FactorDamping);
    }

    /// <summary>A rejected step leaves a group at rest, which has no momentum yet, as it is.</summary>
    [Fact]
    public void Group_at_rest_is_no_hindrance_to_a_rejected_step()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
        var all = model.named_parameters().Select(p => (p.name, p.parameter)).ToLookup(p => p.name[0] == 'a');
        using var optimizer = new Kfac(
            new(
                all[false],
                new()
                {
                    LearningRate = 1e3,
                    StepRejection = true,
                    MaxGrowth = null,
                    Step = new FixedStep { KlClip = null },
                }
            ),
            [new(all[true], new() { LearningRate = 0 })],
            model,
            new Categorical()
        );
        var before = Optimizers.Problem.Values(model.parameters());
        var report = optimizer.StepOnBatch(randn(32, 4), randint(0, 3, [32]));
        Assert.Equal((StepOutcome.Rejected, 1L), (report.Outcome, optimizer.RejectedSteps));
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
    }
}
