using Amari.Curvature;
using Amari.Kronecker;
using Amari.Solvers;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Inverses each size the way that takes less time, on clocks that say which that is.</summary>
public sealed class KfacInverseChoiceTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Three looks are one measurement: Cholesky takes place before the second, the iteration before the third.</summary>
    private sealed class Clock(int cholesky, int iteration, int first = 0) : TimeProvider
    {
        private long _now;
        private int _looks;

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() =>
            _now += (_looks++ - first) switch
            {
                < 0 => 0,
                var i => (i % 3) switch
                {
                    1 => cholesky,
                    2 => iteration,
                    _ => 0,
                },
            };

        /// <summary>A step of the optimizer begins, which looks at the clock thrice before it inverts.</summary>
        public void Begin() => _looks = 0;
    }

    private static Tensor Positive(long n)
    {
        var b = randn([n, 2 * n], dtype: ScalarType.Float64);
        return b.mm(b.t()) / (2 * n) + 0.1 * eye(n, dtype: ScalarType.Float64);
    }

    /// <summary>The inverses of a number of refreshes, each from the last one; whether each is Cholesky's, and the choice.</summary>
    private static (List<bool> ByCholesky, string Choice) Refresh(
        Clock clock,
        int times,
        long n = FactorInverter.LeastMeasured,
        double change = 1e-3
    )
    {
        manual_seed(41);
        var inverter = new FactorInverter();
        var m = Positive(n);
        var far = Positive(n);
        Tensor? inverse = null;
        List<bool> by = [];
        for (int i = 0; i < times; i++)
        {
            m += change * far;
            inverter.Begin(new(InverseMethod.Auto, 0.2), [m, ones(n)], clock);
            inverse = inverter.Invert(m, inverse).Inverse!;
            inverter.End(null);
            by.Add(inverse.eq(SpdInverse.Cholesky(m).Inverse!).all().ToBoolean());
            Assert.InRange(Dense.RelativeError(inverse, linalg.inv(m)), 0, 1e-6);
        }
        return (by, string.Join("; ", inverter.Choices));
    }

    [Fact]
    public void What_took_less_is_kept_until_it_is_measured_again()
    {
        var cholesky = Refresh(new(21, 48), 9);
        Assert.Equal([true, true, true, true, true, true, true, true, true], cholesky.ByCholesky);
        Assert.Equal("inverses of size 128 by Cholesky: 21 ms against 48 ms by Newton-Schulz", cholesky.Choice);
        var iteration = Refresh(new(21, 8), 9); // rounds of measurement, 2, 4 and 8, take Cholesky's
        Assert.Equal([true, true, false, true, false, false, false, true, false], iteration.ByCholesky);
        Assert.Equal("inverses of size 128 by Newton-Schulz: 8 ms against 21 ms by Cholesky", iteration.Choice);
    }

    [Fact]
    public void Iteration_that_fails_counts_with_the_Cholesky_that_follows()
    {
        var (by, choice) = Refresh(new(21, 8), 3, change: 30);
        Assert.Equal("inverses of size 128 by Cholesky: 21 ms against 29 ms by Newton-Schulz", choice);
        Assert.Equal([true, true, true], by);
    }

    [Fact]
    public void Small_factors_are_not_measured()
    {
        var (by, choice) = Refresh(new(21, 8), 5, n: FactorInverter.LeastMeasured - 1);
        Assert.Equal("", choice);
        Assert.DoesNotContain(false, by);
    }

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

    private static void Step((Kfac Optimizer, nn.Module<Tensor, Tensor> Model) run, Clock? clock, int i)
    {
        using var generator = new Generator((ulong)i);
        clock?.Begin();
        run.Optimizer.zero_grad();
        new Categorical()
            .Loss(run.Model.call(randn([300, 140], generator: generator)), randint(0, 3, [300], generator: generator))
            .backward();
        run.Optimizer.step();
    }

    private static (double[] Weights, IReadOnlyList<OptimizerEvent> Events) Run(Clock clock, InverseMethod method = InverseMethod.Auto)
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
    public void Optimizer_inverts_as_the_clock_says_and_tells()
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
        Clock clock = new(cholesky, iteration, first: 3),
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
            var told = run.Optimizer.Events.Where(e => e.Message.StartsWith("inverses of size", StringComparison.Ordinal)).ToList();
            Assert.Equal(3, told.Count);
            Assert.All(
                told,
                e =>
                    Assert.Matches(
                        @"^inverses of size (129|130|141) by (Cholesky: .+ ms against .+ ms by Newton-Schulz|Newton-Schulz: .+ ms against .+ ms by Cholesky)$",
                        e.Message
                    )
            );
        }
        Assert.All(Optimizers.Problem.Values(run.Model.parameters()), v => Assert.True(double.IsFinite(v)));
        Assert.Equal(0, run.Optimizer.SkippedSteps);
    }
}
