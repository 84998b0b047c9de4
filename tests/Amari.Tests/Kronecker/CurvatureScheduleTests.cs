using Amari.Curvature;
using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Tests.Kronecker;

/// <summary>Curvature by the clock: intervals and examples that keep to a share of the step time, on clocks that the tests turn.</summary>
public sealed class CurvatureScheduleTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Each look at it takes a millisecond.</summary>
    private sealed class Clock : TimeProvider
    {
        private long _now;

        public override long TimestampFrequency => 1000;

        public override long GetTimestamp() => _now++;

        public void Wait(int milliseconds) => _now += milliseconds;
    }

    /// <summary>A machine of known costs, in seconds: a step without curvature, factors of all examples, inverses. Warming up takes ten
    /// times as long.</summary>
    /// <param name="whole">Share of the factors' time that does not depend on the examples they are taken from.</param>
    /// <param name="choosing">Seconds of a choice of the inverses' damping, in every twentieth step.</param>
    private const int ChoosingInterval = 20;

    private static (double Share, CurvatureChoice Choice) Simulate(
        double budget,
        double step,
        double factors,
        double inverses,
        long batch = 512,
        long? most = null,
        double whole = 0,
        double choosing = 0
    )
    {
        var schedule = new CurvatureSchedule();
        var options = new Kfac.Options
        {
            Curvature = new()
            {
                FactorBatchSize = most,
                Refresh = new() { TimeFraction = budget },
            },
        };
        double spent = 0,
            total = 0;
        const int steps = 6000,
            measured = 3000;
        for (int i = 1; i <= steps; i++)
        {
            double warm = i == 1 ? 10 : 1;
            double? f = schedule.FactorsDue(i, options.Curvature)
                ? warm * factors * (whole + (1 - whole) * Math.Min(batch, schedule.Examples(options.Curvature) ?? batch) / batch)
                : null;
            double? v = schedule.InverseDue(i, options.Curvature) ? warm * inverses : null;
            double pause = i % 97 == 0 ? 50 * step : 0; // an evaluation now and then
            double? c = choosing > 0 && i % ChoosingInterval == 0 ? choosing : null;
            schedule.Stepped(
                i,
                options.Curvature,
                i == 1 ? null : step + pause + (f ?? 0) + (v ?? 0) + (c ?? 0),
                f,
                v,
                (c, ChoosingInterval),
                batch
            );
            if (i <= steps - measured)
                continue;
            spent += (f ?? 0) + (v ?? 0) + (c ?? 0);
            total += step + (f ?? 0) + (v ?? 0) + (c ?? 0);
        }
        return (spent / total, schedule.Choice(options.Curvature)!);
    }

    [Theory]
    [
        InlineData(0.3, 0.030, 0.025, 0.090),
        InlineData(0.1, 0.030, 0.025, 0.090),
        InlineData(0.5, 0.030, 0.025, 0.090),
        InlineData(0.2, 0.010, 0.100, 1.0),
        InlineData(0.05, 0.010, 0.100, 0.2)
    ]
    public void Share_converges_to_what_was_asked(double budget, double step, double factors, double inverses)
    {
        var (share, choice) = Simulate(budget, step, factors, inverses);
        Assert.InRange(share, 0.88 * budget, 1.08 * budget);
        Assert.InRange(choice.Share, 0.8 * budget, 1.2 * budget);
        Assert.Equal(budget, choice.Budget);
        Assert.InRange(choice.InverseInterval, choice.FactorInterval, CurvatureSchedule.MostInverseInterval);
        Assert.InRange(choice.FactorInterval, 1, CurvatureSchedule.MostFactorInterval);
    }

    [Fact]
    public void A_larger_share_buys_shorter_intervals()
    {
        var (small, large) = (Simulate(0.05, 0.03, 0.025, 0.09).Choice, Simulate(0.4, 0.03, 0.025, 0.09).Choice);
        Assert.True(large.FactorInterval < small.FactorInterval && large.InverseInterval < small.InverseInterval, $"{small}; {large}");
    }

    [Fact]
    public void Costly_factors_use_fewer_examples_and_cheap_work_runs_every_step()
    {
        var costly = Simulate(0.05, 0.01, 0.1, 0.2).Choice;
        Assert.InRange(costly.FactorBatchSize, CurvatureSchedule.LeastExamples, 256);
        var cheap = Simulate(0.5, 1, 0.001, 0.001);
        Assert.Equal((1, 1, 512), (cheap.Choice.FactorInterval, cheap.Choice.InverseInterval, cheap.Choice.FactorBatchSize));
        Assert.InRange(cheap.Share, 0, 0.01);
        Assert.Equal(100, Simulate(0.3, 0.03, 0.025, 0.09, most: 100).Choice.FactorBatchSize);
    }

    /// <summary>Where passes are of the whole batch whatever is kept of them, examples stay and intervals grow.</summary>
    [Theory]
    [InlineData(0.9, 512)] // half of the examples would save 5 %
    [InlineData(0.5, 256)] // 25 %, then 17 %
    [InlineData(0.1, CurvatureSchedule.LeastExamples)]
    public void Fewer_examples_that_save_little_are_taken_back(double whole, long examples)
    {
        var (share, choice) = Simulate(0.05, 0.01, 0.1, 0.1, whole: whole);
        Assert.Equal(examples, choice.FactorBatchSize);
        Assert.InRange(share, 0.8 * 0.05, 1.08 * 0.05);
    }

    [Fact]
    public void Work_at_an_interval_of_its_own_is_within_the_budget()
    {
        var (with, without) = (Simulate(0.3, 0.030, 0.025, 0.090, choosing: 0.1), Simulate(0.3, 0.030, 0.025, 0.090));
        Assert.InRange(with.Share, 0.88 * 0.3, 1.08 * 0.3);
        Assert.True(with.Choice.InverseInterval > without.Choice.InverseInterval, $"{with.Choice}; {without.Choice}");
    }

    /// <summary>Times are not saved: until both kinds of work have been timed again, the intervals are those of the run before.</summary>
    [Fact]
    public void Resumed_intervals_hold_until_there_are_times_again()
    {
        var options = new Kfac.Options { Curvature = new() { Refresh = new() { TimeFraction = 0.05 } } };
        CurvatureSchedule first = new(),
            second = new();
        Run(first, 1, 2000);
        second.Restore(first.ToJson());
        var chosen = Of(second);
        var (straight, resumed) = (Run(first, 2001, 4000), Run(second, 2001, 4000));
        Assert.True(resumed.Factors.Count(step => step < resumed.Inverses[0]) > 1, "factors come first, and come again");
        Assert.Equal(straight.Inverses, resumed.Inverses);
        Assert.Equal(straight.Factors, resumed.Factors);
        Assert.Equal(chosen, Of(second));

        (int FactorInterval, int InverseInterval, long Examples) Of(CurvatureSchedule schedule) =>
            schedule.Choice(options.Curvature) is { } c ? (c.FactorInterval, c.InverseInterval, c.FactorBatchSize) : default;

        (List<int> Factors, List<int> Inverses) Run(CurvatureSchedule schedule, int from, int to) // the steps at which each was due
        {
            var (factors, inverses) = (new List<int>(), new List<int>());
            for (int i = from; i <= to; i++)
            {
                double? f = schedule.FactorsDue(i, options.Curvature) ? 0.02 : null,
                    v = schedule.InverseDue(i, options.Curvature) ? 0.2 : null;
                if (f is not null)
                    factors.Add(i);
                if (v is not null)
                    inverses.Add(i);
                schedule.Stepped(i, options.Curvature, i == from ? null : 0.03 + (f ?? 0) + (v ?? 0), f, v, default, 512);
            }
            return (factors, inverses);
        }
    }

    private static (Kfac Optimizer, nn.Module<Tensor, Tensor> Model, Clock Clock) Make(
        Kfac.Options options,
        FisherKind kind = FisherKind.Empirical
    )
    {
        manual_seed(31);
        var clock = new Clock();
        var model = nn.Sequential(("a", nn.Linear(6, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
        return (
            new(model, options with { Curvature = options.Curvature with { Fisher = FisherOptions.Of(kind) } }, new Categorical())
            {
                Clock = clock,
            },
            model,
            clock
        );
    }

    private static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, Clock clock, int i)
    {
        using var generator = new Generator((ulong)i);
        optimizer.zero_grad();
        clock.Wait(10); // what training takes without curvature
        new Categorical().Loss(model.call(randn([40, 6], generator: generator)), randint(0, 3, [40], generator: generator)).backward();
        optimizer.step();
    }

    [Theory, InlineData(FisherKind.Empirical), InlineData(FisherKind.MonteCarlo)]
    public void Optimizer_keeps_to_its_budget_and_reports_the_choice(FisherKind kind)
    {
        var (optimizer, model, clock) = Make(new() { Curvature = new() { Refresh = new() { TimeFraction = 0.05 } } }, kind);
        using (optimizer)
        {
            Assert.Null(optimizer.CurvatureChoice);
            for (int i = 0; i < 300; i++)
                Step(model, optimizer, clock, i);
            var choice = optimizer.CurvatureChoice!;
            Assert.InRange(choice.Share, 0.04, 0.06);
            Assert.True(choice.InverseInterval > 1);
            Assert.Equal(choice.ToString(), optimizer.Events[^1].Message);
        }
    }

    /// <summary>The machine's clock. Shares whose seconds are hundreds of times apart, so that other work on the machine cannot turn the
    /// order.</summary>
    [Fact]
    public void Real_clock_gives_a_tiny_share_longer_intervals_than_a_generous_one()
    {
        const int batch = 256;
        CurvatureChoice Chosen(double budget)
        {
            manual_seed(33);
            var model = nn.Sequential(("a", nn.Linear(100, 100)), ("t", nn.Tanh()), ("b", nn.Linear(100, 10)));
            using var optimizer = new Kfac(
                model,
                new() { Curvature = new() { Refresh = new() { TimeFraction = budget } } },
                new Categorical()
            );
            for (int i = 0; i < 80; i++)
            {
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                new Categorical().Loss(model.call(randn(batch, 100)), randint(0, 10, [batch])).backward();
                optimizer.step();
            }
            Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
            Assert.Equal(0, optimizer.SkippedSteps);
            var choice = optimizer.CurvatureChoice!;
            Assert.Equal(choice.ToString(), optimizer.Events[^1].Message);
            Assert.Equal(budget, choice.Budget);
            Assert.InRange(choice.Share, double.Epsilon, 1);
            // longer where fewer examples do not pay, and then doubled once in so few steps
            Assert.InRange(choice.FactorInterval, 1, 2 * CurvatureSchedule.MostFactorInterval);
            Assert.InRange(choice.InverseInterval, choice.FactorInterval, CurvatureSchedule.MostInverseInterval);
            Assert.InRange(choice.FactorBatchSize, CurvatureSchedule.LeastExamples, batch);
            return choice;
        }
        var (tiny, generous) = (Chosen(0.01), Chosen(0.9));
        Assert.True(
            tiny.InverseInterval > generous.InverseInterval
                && tiny.FactorInterval >= generous.FactorInterval
                && tiny.FactorBatchSize <= generous.FactorBatchSize
                && tiny.Share < generous.Share,
            $"{tiny}; {generous}"
        );
    }

    [Fact]
    public void Fixed_intervals_do_not_look_at_the_clock_and_choose_nothing()
    {
        var (optimizer, model, clock) = Make(new());
        using (optimizer)
        {
            Step(model, optimizer, clock, 0);
            Assert.Null(optimizer.CurvatureChoice);
            Assert.Empty(optimizer.Events);
        }
        double[] Run(Kfac.Options options)
        {
            var (o, m, c) = Make(options);
            using (o)
                for (int i = 0; i < 12; i++)
                    Step(m, o, c, i);
            return Optimizers.Problem.Values(m.parameters());
        }
        Assert.Equal(Run(new()), Run(new()));
        Assert.NotEqual(Run(new()), Run(new() { Curvature = new() { Refresh = new() { TimeFraction = 0.2 } } }));
    }

    [Fact]
    public void Resumed_run_goes_on_with_what_was_chosen()
    {
        var options = new Kfac.Options { Curvature = new() { Refresh = new() { TimeFraction = 0.1 } } };
        var (optimizer, model, clock) = Make(options);
        var (second, _, _) = Make(options);
        using (optimizer)
        using (second)
        {
            for (int i = 0; i < 60; i++)
                Step(model, optimizer, clock, i);
            second.Restore(optimizer.Snapshot());
            Assert.Equal(optimizer.CurvatureChoice, second.CurvatureChoice);
        }
    }

    [Theory, InlineData(FisherKind.Empirical), InlineData(FisherKind.Exact)]
    public void Factors_of_some_examples_are_those_of_a_smaller_batch(FisherKind kind)
    {
        var (x, y) = (randn(12, 6, dtype: ScalarType.Float64), randint(0, 3, [12]));
        var (some, expected) = (Factors(12, 5), Factors(5, null));
        foreach (var (name, factor) in expected)
            Assert.InRange(Dense.RelativeError(some[name], factor), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(Factors(12, null)["a.A"], expected["a.A"]), 1e-3, 10);

        Dictionary<string, Tensor> Factors(int batch, long? most)
        {
            manual_seed(32);
            var model = nn.Sequential(
                    ("c", nn.Conv1d(2, 2, 1)),
                    ("f", nn.Flatten()),
                    ("a", nn.Linear(6, 5)),
                    ("t", nn.Tanh()),
                    ("b", nn.Linear(5, 3))
                )
                .to(ScalarType.Float64);
            using var optimizer = new Kfac(
                model,
                new()
                {
                    LearningRate = 0,
                    Curvature = new() { Fisher = FisherOptions.Of(kind), FactorBatchSize = most },
                },
                new Categorical()
            );
            new Categorical().Loss(model.call(x.narrow(0, 0, batch).view(batch, 2, 3)), y.narrow(0, 0, batch)).backward();
            optimizer.step();
            return optimizer
                .Snapshot()
                .Tensors.Where(t => t.Key.EndsWith(".A", StringComparison.Ordinal) || t.Key.EndsWith(".G", StringComparison.Ordinal))
                .ToDictionary(t => t.Key, t => t.Value.clone());
        }
    }

    [Fact]
    public void Intervals_grow_to_the_given_ones()
    {
        static IEnumerable<long> Due(int interval, double? growth, int steps = 60) =>
            Enumerable.Range(1, steps).Select(t => (long)t).Where(t => CurvatureSchedule.IsDue(t, interval, growth));
        Assert.Equal([1, 11, 21, 31, 41, 51], Due(10, null));
        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33, 41, 51], Due(10, 0.25));
        Assert.Equal([1, 2, 3, 4, 6, 9, 11, 16, 21], Due(5, 0.5, 25));
        Assert.Equal(Enumerable.Range(1, 60).Select(t => (long)t), Due(1, 0.25));
    }

    [Fact]
    public void Steps_of_the_quadratic_model_take_older_inverses()
    {
        CurvatureOptions defaults = new(),
            quick = new() { Refresh = new() { Warmup = 0.25 } },
            none = new() { Refresh = new() { Warmup = null } };
        Assert.Equal([1, 2, 3, 5, 9, 17, 21, 41], Due(defaults, true));
        Assert.Equal(Due(defaults, false), Due(quick, true));
        Assert.Equal(Due(none, false), Due(none, true));

        static IEnumerable<long> Due(CurvatureOptions options, bool isModelled) =>
            Enumerable.Range(1, 60).Select(t => (long)t).Where(t => new CurvatureSchedule().InverseDue(t, options, isModelled));
    }
}
