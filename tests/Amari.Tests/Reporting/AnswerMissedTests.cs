using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>Optimizers that missed the target with some seed or with all.</summary>
public sealed class AnswerMissedTests
{
    private const double Miss = double.NaN;

    private static string Of(BenchmarkResult comparison) => Amari.Reporting.Answer.Of(comparison);

    [Fact]
    public void A_miss_counts_as_the_longest_run()
    {
        string text = Of(Compared("loss", 0.1, Times("a", [2, 2.1, 2.2]), Times("b", [4, 4.2, Miss]), Times("c", [Miss, Miss, Miss])));
        Starts("Use a: it reached loss 0.1 first", text);
        Contains("b reached the target with only 2 of 3 seeds", text);
        Contains("c did not reach the target within 10 s with any of 3 seeds.", text);
        Contains("a is faster than c by a factor of at least 4.8 (p", text);
        Contains("every run that missed the target counts with 10 s.", text);
    }

    [Fact]
    public void One_that_is_fast_with_some_seeds_is_not_recommended()
    {
        string text = Of(Compared("loss", 0.1, Times("a", [1, 1, Miss]), Times("b", [2, 2.1, 2.2])));
        Starts("b reached loss 0.1 first, in 2.1 s (210 steps), medians of 3 seeds, but no difference in time is beyond chance.", text);
        Contains(
            "a was faster where it reached it (1 s, 100 steps), but that was with only 2 of 3 seeds; 3 seeds are too few for the test to "
                + "be sure that it is slower than b.",
            text
        );
        Lacks("is faster than", text);
        Lacks("cannot be told apart by the time", text);
    }

    /// <summary>It alone reached the target, too late in the budget for a test of time.</summary>
    [Fact]
    public void The_ends_decide_where_times_do_not()
    {
        BenchmarkResult Of(double[] ends) =>
            Compared("loss", 0.1, Times("a", [9, 9.7, 9.9], ends: [0.09, 0.08, 0.085]), Times("b", [Miss, Miss, Miss], ends: ends));
        var shown = Of([0.3, 0.28, 0.29]);
        string text = Amari.Reporting.Answer.Of(shown);
        Starts("Use a, by the ends of the runs. a reached loss 0.1 first, in 9.7 s", text);
        Contains("but no difference in time is beyond chance.", text);
        Contains("a also ended with the lowest loss, 0.085, better than all others.", text);
        Assert.Equal(["a"], Amari.Reporting.Answer.WinnersOf(shown).Select(s => s.Optimizer));
        var unclear = Of([0.11, 0.5, 4]);
        Starts("a reached loss 0.1 first", Amari.Reporting.Answer.Of(unclear));
        Assert.Empty(Amari.Reporting.Answer.WinnersOf(unclear));
    }

    /// <summary>The winner's last step goes beyond the budget: 6.01 s of 6 s are not worse than a miss.</summary>
    [Fact]
    public void A_winner_beyond_the_budget_beats_those_that_missed()
    {
        TrainingRun[] missed = [.. Times("sgd", [Miss, Miss, Miss], ends: [0.9, 0.4, 0.7]).Select(r => r with { Seconds = 6.001 })];
        var late = Compared("loss", 0.1, Times("kfac", [6.01, 6.02, 6.005]), missed) with { Budget = Budget.OfSeconds(6) };
        string text = Of(late);
        Starts("kfac reached loss 0.1 first", text);
        Contains("sgd did not reach the target within 6 s with any of 3 seeds; 3 seeds are too few for the test to be sure", text);
        Lacks("sgd cannot be told apart", text);
        Assert.Equal(["kfac"], Winners(late));
    }

    /// <summary>Ten fast epochs that do not reach the target are no success.</summary>
    [Fact]
    public void In_epochs_a_fast_failure_does_not_beat_a_slow_success()
    {
        TrainingRun[] fast = [.. Times("sgd", [Miss, Miss, Miss]).Select((r, i) => r with { Seconds = 0.5 + 0.01 * i })];
        var comparison = Compared("loss", 0.1, Times("kfac", [3, 3.2, 3.1]), fast, Times("lion", [1, Miss, Miss])) with
        {
            Budget = Budget.OfEpochs(10),
            Runs = [.. Compared("loss", 0.1, Times("kfac", [3, 3.2, 3.1]), fast, Times("lion", [1, Miss, Miss])).Runs.Select(Ended)],
        };
        string text = Of(comparison);
        Starts("Use kfac: it reached loss 0.1 first", text);
        Contains("kfac is faster than sgd, which missed the target with 3 of 3 seeds (p = ", text);
        Contains("lion reached the target with only 1 of 3 seeds; 3 seeds are too few", text);
        Contains("every run that missed the target counts with 4 s.", text);
        Assert.Equal(["kfac"], Winners(comparison));

        static TrainingRun Ended(TrainingRun run) => run with { Seconds = run.Optimizer == "sgd" ? run.Seconds : 4 };
    }

    /// <summary>As many ended alike, but only one of them got to the target with every seed.</summary>
    [Fact]
    public void Equal_ends_do_not_recommend_one_that_missed()
    {
        var comparison = Compared(
            "loss",
            0.1,
            Times("kfac", [3, 3.2, 3.1], ends: [0.3, 0.4, 0.35]),
            Times("sgd", [Miss, Miss, Miss], ends: [0.35, 0.38, 0.36]),
            Times("lion", [Miss, Miss, Miss], ends: [0.34, 0.41, 0.33])
        );
        string text = Of(comparison);
        Contains("kfac also ended with the lowest loss, 0.35.", text);
        Contains("lion 0.34 and sgd 0.36 reached the target less often than kfac, and are not recommended", text);
        Lacks("cannot be told apart", text);
    }

    private static IEnumerable<string> Winners(BenchmarkResult comparison) =>
        new Amari.Reporting.TimeVerdict(comparison, Amari.Reporting.Summary.Of(comparison), "loss 0.1").Winners.Select(s => s.Optimizer);
}
