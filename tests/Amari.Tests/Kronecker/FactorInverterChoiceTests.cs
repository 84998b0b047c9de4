using Amari.Curvature;
using Amari.Kronecker;
using Amari.Solvers;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Inverses each size the way that takes less time, on clocks that say which that is.</summary>
public sealed class FactorInverterChoiceTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static readonly Kfac.Options Options = new()
    {
        Damping = 0.3,
        LearningRate = 0.01,
        Curvature = new()
        {
            Fisher = new FisherOptions.Empirical(),
            Inverse = new InverseOptions.Auto(),
            FactorEma = 0.99,
            Refresh = new()
            {
                FactorInterval = 1,
                InverseInterval = 2,
                Warmup = null,
            },
        },
    };

    private static (Kfac Optimizer, nn.Module<Tensor, Tensor> Model) Make(TimeProvider clock, Kfac.Options? options = null)
    {
        manual_seed(42);
        var model = nn.Sequential(("a", nn.Linear(140, 129)), ("t", nn.Tanh()), ("b", nn.Linear(129, 3)));
        return (new(model, options ?? Options, new Categorical()) { Clock = clock }, model);
    }

    private static void Step((Kfac Optimizer, nn.Module<Tensor, Tensor> Model) run, InverseClock? clock, int i)
    {
        using var generator = new Generator((ulong)i);
        clock?.Begin();
        run.Optimizer.zero_grad();
        new Categorical()
            .Loss(run.Model.call(randn([300, 140], generator: generator)), randint(0, 3, [300], generator: generator))
            .backward();
        run.Optimizer.step();
    }

    private static (double[] Weights, IReadOnlyList<OptimizerEvent> Events) Run(
        InverseClock clock,
        InverseMethod method = InverseMethod.Auto
    )
    {
        var run = Make(clock, Options with { Curvature = Options.Curvature with { Inverse = InverseOptions.Of(method) } });
        using (run.Optimizer)
        {
            for (int i = 0; i < 20; i++)
                Step(run, clock, i);
            return (Optimizers.Problem.Values(run.Model.parameters()), run.Optimizer.Events);
        }
    }

    [Fact]
    public void Optimizer_inverts_as_the_clock_says_and_logs_it()
    {
        var (cholesky, iteration) = (Run(new(21, 48, first: 3)), Run(new(21, 8, first: 3)));
        Assert.Equal(
            [
                "inverses of size 129 by Cholesky: 21 ms against 48 ms by Newton-Schulz",
                "inverses of size 130 by Cholesky: 21 ms against 48 ms by Newton-Schulz",
                "inverses of size 141 by Cholesky: 21 ms against 48 ms by Newton-Schulz",
            ],
            cholesky.Events.Select(e => e.Message)
        );
        Assert.Contains(iteration.Events, e => e.Message == "inverses of size 141 by Newton-Schulz: 8 ms against 21 ms by Cholesky");
        var (onlyCholesky, onlyIteration) = (Run(new(0, 0), InverseMethod.Cholesky), Run(new(0, 0), InverseMethod.NewtonSchulz));
        Assert.Empty(onlyCholesky.Events);
        Assert.Equal(onlyCholesky.Weights, cholesky.Weights);
        Assert.NotEqual(onlyCholesky.Weights, iteration.Weights);
        Assert.NotEqual(onlyCholesky.Weights, onlyIteration.Weights);
        Assert.NotEqual(onlyIteration.Weights, iteration.Weights);
        Assert.All(onlyCholesky.Weights.Zip(iteration.Weights), w => Assert.InRange(w.Second - w.First, -1e-4, 1e-4));
    }

    /// <summary>The clock of the resumed run says the contrary: what was saved decides, until the next round.</summary>
    [Theory, InlineData(21, 8), InlineData(21, 48)]
    public void Resumed_run_equals_an_uninterrupted_one_bit_for_bit(int cholesky, int iteration)
    {
        InverseClock clock = new(cholesky, iteration, first: 3),
            other = new(iteration, cholesky, first: 3);
        var (whole, first, second) = (Make(clock), Make(clock), Make(other, new()));
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using (whole.Optimizer)
        using (first.Optimizer)
        using (second.Optimizer)
        {
            for (int i = 0; i < 9; i++)
                Step(first, clock, i); // refreshes 1 to 5
            first.Optimizer.Save(file);
            using (no_grad())
                foreach (var (p, q) in second.Model.parameters().Zip(first.Model.parameters()))
                    p.copy_(q);
            second.Optimizer.Load(file);
            File.Delete(file);
            Assert.Equal(first.Optimizer.Events, second.Optimizer.Events);
            for (int i = 0; i < 14; i++)
                Step(whole, clock, i); // to refresh 7
            for (int i = 9; i < 14; i++)
                Step(second, other, i);
            Assert.Equal(Optimizers.Problem.Values(whole.Model.parameters()), Optimizers.Problem.Values(second.Model.parameters()));
            Assert.Equal(whole.Optimizer.Events, second.Optimizer.Events);
            for (int i = 14; i < 16; i++)
                Step(second, other, i);
            Assert.NotEqual(whole.Optimizer.Events[^1].Message, second.Optimizer.Events[^1].Message); // measured again
        }
    }

    [Fact]
    public void Machine_s_own_clock_chooses_one_of_the_two()
    {
        var run = Make(TimeProvider.System);
        using (run.Optimizer)
        {
            for (int i = 0; i < 12; i++)
                Step(run, null, i);
            var choices = run.Optimizer.Events.Where(e => e.Message.StartsWith("inverses of size", StringComparison.Ordinal)).ToList();
            Assert.Equal(3, choices.Count);
            Assert.All(
                choices,
                e =>
                    Assert.Matches(
                        @"^inverses of size (129|130|141) by (Cholesky: .+ ms against .+ ms by Newton-Schulz|"
                            + "Newton-Schulz: .+ ms against .+ ms by Cholesky)$",
                        e.Message
                    )
            );
        }
        Assert.All(Optimizers.Problem.Values(run.Model.parameters()), v => Assert.True(double.IsFinite(v)));
        Assert.Equal(0, run.Optimizer.SkippedSteps);
    }
}
