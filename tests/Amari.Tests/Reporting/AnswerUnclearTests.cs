using Amari.Training;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>Optimizers that are far worse on average, and that only their scatter over the seeds keeps from being excluded.</summary>
public sealed class AnswerUnclearTests
{
    private const double Miss = double.NaN;

    private static TrainingRun[] Ends(string optimizer, params double[] losses) =>
        Times(optimizer, [.. losses.Select(_ => Miss)], ends: losses);

    private static BenchmarkResult Equation(params TrainingRun[][] more) =>
        Compared("loss", 0.01, [Ends("lm", 0.09, 0.11), Ends("lbfgs", 0.15, 0.5), Ends("gauss-newton", 0.2, 7.8), .. more]);

    [Fact]
    public void At_the_end_they_are_named_and_not_recommended()
    {
        var comparison = Equation(Ends("adamw", 0.95, 0.97));
        string text = Amari.Reporting.Answer.Of(comparison);
        Starts(
            "Use lm: it ended with the lowest loss, 0.1, medians of 2 seeds. lbfgs (0.325) and gauss-newton (4) ended more than twice",
            text
        );
        Contains("twice as high as lm on average, but vary too much over the seeds for the test to exclude them: not recommended.", text);
        Contains("more seeds would separate lbfgs (higher than lm by 0.225;", text);
        Contains("lm is better than adamw by 0.86", text);
        Assert.Equal(["lm"], Amari.Reporting.Answer.WinnersOf(comparison).Select(s => s.Optimizer));
    }

    [Fact]
    public void Without_any_difference_beyond_chance_nothing_is_recommended()
    {
        string text = Amari.Reporting.Answer.Of(Equation());
        Starts("lm ended with the lowest loss, 0.1, medians of 2 seeds, but no difference is beyond chance. lbfgs", text);
        Lacks("Use ", text);
        Assert.Empty(Amari.Reporting.Answer.WinnersOf(Equation()));
    }

    [Fact]
    public void Those_that_are_close_share_the_recommendation()
    {
        string text = Amari.Reporting.Answer.Of(Equation(Ends("adamw", 0.95, 0.97), Ends("close", 0.1, 0.14)));
        Starts("Use lm or close: they ended with the lowest loss and cannot be told apart (lm 0.1, close 0.12; medians of 2 seeds).", text);
        Contains("lbfgs (0.325) and gauss-newton (4) ended more than twice as high as lm", text);
    }

    [Fact]
    public void Times_have_the_same_rule()
    {
        string text = Amari.Reporting.Answer.Of(
            Compared("loss", 0.1, Times("a", [1, 1.1, 1.05]), Times("b", [1.1, 9, 8]), Times("c", [9, 9.5, 9.2]))
        );
        Starts(
            "Use a: it reached loss 0.1 first, in 1.05 s (105 steps), medians of 3 seeds. b (8 s, 800 steps) took more than twice",
            text
        );
        Contains("twice as long as a on average, but varies too much over the seeds for the test to exclude it: not recommended.", text);
        Contains("a is faster than c by a factor of", text);
        Contains("At the end of the budget a 0.05, b 0.05 and c 0.05 cannot be told apart", text);
    }

    [Fact]
    public void Higher_metrics_have_the_same_rule()
    {
        TrainingRun[] Missed(string name, params double[] metrics) => Times(name, [Miss, Miss]).HeldOut([0.3, 0.3], [0.3, 0.3], metrics);
        var comparison = Compared("accuracy", 0.99, Missed("a", 0.9, 0.92), Missed("b", 0.1, 0.6), Missed("c", 0.8, 0.9));
        string text = Amari.Reporting.Answer.Of(comparison);
        Contains("b (0.35) made more than twice as many errors as a on average, but varies too much", text);
        Assert.Equal(["a", "c"], Amari.Reporting.Answer.WinnersOf(comparison).Select(s => s.Optimizer));
    }
}
