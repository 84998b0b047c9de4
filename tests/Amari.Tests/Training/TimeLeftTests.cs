using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>How long all runs of a command still take, by a clock that the tests move.</summary>
public sealed class TimeLeftTests
{
    private readonly Clock _clock = new(); // milliseconds

    private double?[] Work(TimeLeft left, WorkPart part, double seconds, params double[] shares)
    {
        var start = _clock.Now;
        return left.Measure(
            part,
            () =>
            {
                left.After(0, hasEnded: false); // at the start, as runs do
                return shares
                    .Select(share =>
                    {
                        _clock.Now = start + (long)(1e3 * share * seconds);
                        return left.After(share, hasEnded: share == 1);
                    })
                    .ToArray();
            }
        );
    }

    private void WarmUp(TimeLeft left, WorkPart part, double seconds) => left.Measure(part, () => _clock.Now += (long)(1e3 * seconds));

    [Fact]
    public void Before_anything_is_known_the_budget_counts_and_then_the_clock()
    {
        var left = new TimeLeft(_clock);
        var sgd = new WorkPart("w", "sgd", Budget.OfSeconds(10));
        var later = sgd with { Workload = "later" };
        left.Plan([sgd, sgd, later]);
        var first = Work(left, sgd, 20, 0.05, 0.5, 1); // evaluation takes as long as training, against the rules
        Assert.Equal(1.1 * (9.5 + 20), first[0]!.Value, 1e-9);
        Assert.InRange(first[1]!.Value, 1.8 * 25, 2 * 25);
        Assert.InRange(first[2]!.Value, 1.9 * 20, 2 * 20);
        Assert.InRange(Work(left, sgd, 20, 0.5)[0]!.Value, 1.9 * 15, 2 * 15);
        Assert.Equal(0, Work(left, later, 20, 1)[0]!.Value, 1e-9);
    }

    [Fact]
    public void Epochs_count_by_the_clock_and_by_the_optimizer()
    {
        var left = new TimeLeft(_clock);
        var sgd = new WorkPart("w", "sgd", Budget.OfEpochs(10));
        var kfac = sgd with { Optimizer = "kfac" };
        left.Plan([sgd, kfac, sgd, kfac]);
        double?[] first = Work(left, sgd, 1, 0.05, 0.5, 1);
        Assert.Null(first[0]);
        Assert.Equal(0.5 + 3, first[1]!.Value, 1e-9);
        Work(left, kfac, 9, 1);
        var second = Work(left, sgd, 1, 0.5);
        Assert.InRange(second[0]!.Value, 0.5 + 8, 1 + 9); // 0.5 of sgd, 9 of K-FAC
    }

    [Fact]
    public void Warm_ups_earlier_runs_and_early_ends_count()
    {
        var left = new TimeLeft(_clock);
        var run = new WorkPart("w", "sgd", Budget.OfSeconds(100));
        var warmUp = new WorkPart("w", "sgd", Budget.OfSeconds(2), IsWarmUp: true);
        left.Plan([warmUp, run, run, run, warmUp with { Workload = "later" }]);
        WarmUp(left, warmUp, 1);
        left.Skip(run); // an earlier comparison has it
        left.Measure(
            run,
            () =>
            {
                left.After(0, false);
                _clock.Now += 20_000;
                // diverged: nothing is left of it
                Assert.InRange(left.After(0.2, hasEnded: true)!.Value, 100 + 1, 110 + 1.2);
                return 0;
            }
        );
        // resumed at 0.6 of its budget: the 8 s are those of 0.2
        left.Measure(
            run,
            () =>
            {
                left.After(0.6, false);
                _clock.Now += 20_000;
                Assert.InRange(left.After(0.8, false)!.Value, 20 + 1, 22 + 1.2);
                return 0;
            }
        );
    }

    [Fact]
    public void A_comparison_knows_all_its_trials_and_runs()
    {
        var choices = (OptimizerChoice[])[new("sgd", new Dictionary<string, string>()), new("adamw", new Dictionary<string, string>())];
        using var trainer = new Trainer(new DigitsSoftmax(), null);
        var parts = BenchmarkSession.Parts(trainer.Workload, choices, seeds: 2, Budget.OfEpochs(4), tuneTrials: 4).ToList();
        Assert.Equal(2 * (1 + 4 + 2 + 2), parts.Count);
        Assert.Equal(2 * 4, parts.Count(p => p is { IsWarmUp: false, Amount: 1 }));
        List<double?> left = [];
        var progress = new Collect<RunProgress>(p => left.Add(p.AllSecondsLeft));
        OptimizerBenchmark.Compare(trainer, choices, [0, 1], Budget.OfEpochs(4), 4, progress, default);
        Assert.Equal(0, left[^1]); // nothing is left over in the plan
        Assert.All(left.SkipLast(1).Where(l => l is not null), l => Assert.True(l > 0));
        Assert.Contains(left, l => l is not null);
    }
}
