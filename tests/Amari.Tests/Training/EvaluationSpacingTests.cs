using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Evaluations take at most a fifth of the wall time.</summary>
public sealed class EvaluationSpacingTests
{
    /// <summary>A run by the clock: the seconds of its evaluations, and their times.</summary>
    private static (double Spent, List<double> At) Simulate(
        double budget,
        double step,
        Func<int, double> cost,
        double least = double.PositiveInfinity
    )
    {
        double spent = cost(0),
            seconds = 0;
        List<double> at = [0],
            costs = [spent];
        for (seconds = step; seconds < budget; seconds += step)
            if (EvaluationSpacing.IsDue(seconds, at[^1], budget, spent, EvaluationSpacing.Cost(costs, least)))
                Evaluate();
        Evaluate();
        return (spent, at);

        void Evaluate()
        {
            costs.Add(cost(at.Count));
            spent += costs[^1];
            at.Add(seconds);
        }
    }

    /// <summary>The first one of a K-FAC run took 0.1 s, the others 2 ms: the run had no other before half of its time.</summary>
    [Fact]
    public void One_slow_evaluation_does_not_keep_a_run_without_others()
    {
        var (spent, at) = Simulate(1, 0.0005, i => i == 0 ? 0.1 : 0.002, least: 0.002);
        Assert.InRange(spent, 0, 0.2 * (1 + spent) + 1e-9);
        Assert.InRange(at[1], 0, 0.05);
        (_, at) = Simulate(1, 0.0005, i => i == 5 ? 0.1 : 0.002);
        Assert.All(at.Zip(at.Skip(1)), p => Assert.InRange(p.Second - p.First, 0, 0.05));
    }

    [Theory]
    [InlineData(60, 0.01, 0.1)]
    [InlineData(10, 0.3, 0.5)]
    [InlineData(2, 0.001, 0.2)]
    [InlineData(8, 0.001, 1)]
    [InlineData(8.1, 0.7, 1)]
    public void By_the_clock_all_of_them_take_a_fifth(double budget, double step, double cost)
    {
        var (spent, at) = Simulate(budget, step, _ => cost);
        Assert.InRange(spent, 2 * cost, 0.2 * (budget + spent) + 1e-9);
        int most = (int)(budget / 4 / cost + 1e-9); // as many as fit
        if (step < cost)
            Assert.InRange(at.Count, most - 1, most);
        var gaps = at.Zip(at.Skip(1), (a, b) => b - a).ToList();
        Assert.True(gaps.Max() <= 2 * gaps.Min() + 2 * step, $"{string.Join(' ', at)}"); // also at the end, where the rate decays
    }

    [Fact]
    public void Too_short_a_run_has_only_the_first_and_the_last()
    {
        Assert.Equal(2, Simulate(7.9, 0.01, _ => 1).At.Count);
        Assert.Equal(2, Simulate(0.5, 0.01, _ => 1).At.Count);
    }

    [Fact]
    public void Changing_costs_are_followed()
    {
        var random = new Random(5);
        for (int i = 0; i < 100; i++)
        {
            double slow = 5 * random.NextDouble();
            var (spent, at) = Simulate(60, 0.02, n => n == 0 ? slow : 0.1 * (0.5 + random.NextDouble()));
            Assert.InRange(spent, 0, 0.2 * (60 + spent) + 0.1); // the next is not known before it is made
            Assert.InRange(at.Count, 50, 1000); // one slow evaluation does not end them
        }
    }

    [Theory]
    [InlineData(1000, 100, 1)]
    [InlineData(1999, 1000, 2)]
    [InlineData(10, 100, 7)]
    [InlineData(60000, 128, 5)]
    public void By_examples_they_take_a_fifth_of_the_work(long examples, int batch, int rounds)
    {
        long spacing = EvaluationSpacing.Steps(examples, batch);
        for (long steps = spacing * rounds; steps < spacing * (rounds + 1); steps += Math.Max(1, spacing / 7))
        {
            int evaluations = 2;
            for (long step = 1; step < steps; step++)
                if (EvaluationSpacing.IsDue(step, steps, spacing))
                    evaluations++;
            double evaluated = (double)evaluations * examples,
                trained = 3.0 * steps * batch; // in forward passes
            Assert.InRange(evaluated / (evaluated + trained), 0, 0.2);
            Assert.Equal(rounds + 1, evaluations);
        }
    }

    /// <summary>Slow to evaluate: each example of training takes microseconds, each evaluation tens of milliseconds.</summary>
    private sealed class Slow() : SmallWorkload("slow", 100)
    {
        public override Metric Metric => new("slowness", true, Sum);

        private static Tensor Sum(Tensor outputs, Tensor targets)
        {
            Thread.Sleep(15); // once for each thousand examples, or less
            return zeros(1);
        }

        public override nn.Module<Tensor, Tensor> CreateModel() => nn.Sequential(("flatten", nn.Flatten()), ("fc", nn.Linear(64, 10)));
    }

    [Fact]
    public void A_run_with_slow_evaluations_reports_each_of_them_once()
    {
        using var trainer = new Trainer(new Slow(), null);
        List<RunProgress> reports = [];
        var run = trainer.Train(
            new("sgd", new Dictionary<string, string>()),
            0,
            Budget.OfSeconds(3),
            new Collect<RunProgress>(reports.Add)
        );
        Assert.Equal(run.Losses.Select(l => l.Step), reports.Where(r => r.Evaluated).Select(r => r.Step));
        Assert.InRange(run.Losses.Count, 3, 50);
        double longest = run.EvaluationSeconds / run.Losses.Count * 3; // a busy machine stretches some
        Assert.InRange(run.EvaluationSeconds, 0, 0.2 * (run.Seconds + run.EvaluationSeconds) + longest);
        var last = reports[^1];
        Assert.Equal(("slow", "slowness", RunStatus.Completed), (last.Workload, last.MetricName, last.Status));
        Assert.Equal((run.HeldOut[^1].Loss, run.Rates[^1].Rate), (last.HeldOutLoss, last.LearningRate));
        Assert.Null(last.AllSecondsLeft);
    }

    private sealed class Normed() : SmallWorkload("normed", 100)
    {
        public override nn.Module<Tensor, Tensor> CreateModel() =>
            nn.Sequential(("flatten", nn.Flatten()), ("norm", nn.BatchNorm1d(64)), ("fc", nn.Linear(64, 10)));
    }

    [Theory]
    [InlineData("sgd", 0)]
    [InlineData("schedulefree-adamw", 10)] // an evaluation recomputes the statistics of BatchNorm from ten batches
    public void All_examples_of_an_evaluation_count(string optimizer, int batches)
    {
        using var trainer = new Trainer(new Normed(), null);
        long spacing = trainer.StepsBetweenEvaluations(batches),
            examples = trainer.Data.Train.Count + trainer.Data.Test!.Count + 100 * batches;
        Assert.InRange(spacing * trainer.BatchSize, 3 * examples, 3 * examples + 99);
        var run = trainer.Train(new(optimizer, new Dictionary<string, string>()), 0, Budget.OfEpochs(12));
        Assert.Equal(12 * trainer.StepsPerEpoch / spacing + 1, run.Losses.Count);
        Assert.All(run.Losses.SkipLast(1), p => Assert.Equal(0, p.Step % spacing));
    }
}
