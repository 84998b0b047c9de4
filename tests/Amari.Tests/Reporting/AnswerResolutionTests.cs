using Amari.Reporting;
using Amari.Training;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>Measurements in coarse steps: few held-out examples, few evaluations, rounding.</summary>
public sealed class AnswerResolutionTests
{
    private const double Miss = double.NaN;

    private static TrainingRun[] Correct(string name, params int[] of15) =>
        Times(name, [.. of15.Select(_ => Miss)])
            .HeldOut([.. of15.Select(_ => 0.3)], [.. of15.Select(_ => 0.3)], [.. of15.Select(n => n / 15.0)]);

    private static BenchmarkResult Accuracies(long? examples, params TrainingRun[][] runs) =>
        Compared("accuracy", 0.999, runs) with
        {
            HeldOutExamples = examples,
        };

    [Fact]
    public void One_example_more_with_both_seeds_is_no_proof()
    {
        string text = Amari.Reporting.Answer.Of(Accuracies(15, Correct("adamw", 13, 13), Correct("lion", 12, 12)));
        Starts("adamw and lion cannot be told apart by the accuracy at the end (adamw 0.8667, lion 0.8; medians of 2 seeds).", text);
        Contains("One held-out example is 0.0667 of the accuracy, which limits what the test can show.", text);
        Lacks("p < 0.001", text);
    }

    [Fact]
    public void Equal_differences_of_an_unknown_resolution_are_not_tested()
    {
        string text = Amari.Reporting.Answer.Of(Accuracies(null, Correct("adamw", 13, 13, 13), Correct("lion", 12, 12, 12)));
        Contains("adamw came closest, at accuracy 0.8667 (lion 0.8).", text);
        Contains("No test of lion against adamw is possible: the difference is the same with every seed, and how finely it was ", text);
        Lacks("Use ", text.Replace("use --seeds", "", StringComparison.Ordinal));
    }

    [Fact]
    public void Rounding_is_no_difference()
    {
        TrainingRun[] other = [.. Correct("lion", 13, 12, 14).Select(r => r with { FinalMetric = r.FinalMetric + 1.1e-16 })];
        string text = Amari.Reporting.Answer.Of(Accuracies(15, Correct("adamw", 13, 12, 14), other));
        Contains("do not differ on average", text.Replace("does not", "do not", StringComparison.Ordinal));
        Lacks("e-17", text);
        Lacks("e-16", text);
    }

    /// <summary>The target was met at the second evaluation, anywhere between 1 s and 2 s.</summary>
    [Fact]
    public void Few_evaluations_limit_the_order_by_time()
    {
        TrainingRun[] Seen(string name, double seconds) =>
            [
                .. Times(name, [seconds, seconds, seconds])
                    .Select(r => r with { Losses = [new(0, 0, 2), new(100, seconds / 2, 1), new((long)r.StepsToTarget!, seconds, 0.05)] }),
            ];
        string text = Amari.Reporting.Answer.Of(Compared("loss", 0.1, Seen("a", 2), Seen("b", 2.4)));
        Contains("The target is only looked for at evaluations, there up to a factor of 2 in time apart, which limits what", text);
        Lacks("Use ", text);
        Starts("Use a: it reached", Amari.Reporting.Answer.Of(Compared("loss", 0.1, Seen("a", 2), Seen("b", 16))));
    }

    /// <summary>"lion 0.5333" is no choice for its scatter: it makes more errors with every seed.</summary>
    [Fact]
    public void The_worst_is_not_recommended_because_it_varies()
    {
        var comparison = Accuracies(15, Correct("adamw", 13, 14, 13), Correct("lion", 8, 2, 12), Correct("sgd", 3, 2, 3));
        string text = Amari.Reporting.Answer.Of(comparison);
        Starts("Use adamw: it ended with the highest accuracy", text);
        Contains("lion (0.4889) made more than twice as many errors as adamw on average, but varies too much", text);
        Assert.Equal(["adamw"], Amari.Reporting.Answer.WinnersOf(comparison).Select(s => s.Optimizer));
    }

    [Fact]
    public void One_that_is_worse_with_every_seed_is_not_recommended()
    {
        var comparison = Accuracies(15, Correct("adamw", 11, 11, 10), Correct("lion", 10, 8, 9), Correct("sgd", 3, 2, 3));
        string text = Amari.Reporting.Answer.Of(comparison);
        Starts("Use adamw: it ended with the highest accuracy", text);
        Contains("lion (0.6) was worse than adamw in all 3 seeds, but varies too much over the seeds for the test to exclude it", text);
        Assert.Equal(["adamw"], Amari.Reporting.Answer.WinnersOf(comparison).Select(s => s.Optimizer));
    }

    /// <summary>12, 13, 13 or 14 of 15 for both.</summary>
    [Theory]
    [InlineData(3, 0.03), InlineData(5, 0.07)]
    public void Equal_optimizers_on_few_examples_are_seldom_told_apart(int seeds, double most)
    {
        var random = new Random(5);
        int[] scores = [12, 13, 13, 14];
        int claims = 0,
            draws = 2000;
        for (int draw = 0; draw < draws; draw++)
        {
            var comparison = Accuracies(15, Correct("a", Drawn()), Correct("b", Drawn()));
            claims += new EndVerdict(comparison, Summary.Of(comparison)).Alone("").Any(s => s.StartsWith("Use ", StringComparison.Ordinal))
                ? 1
                : 0;
        }
        Assert.InRange(claims / (double)draws, 0, most);

        int[] Drawn() => [.. Enumerable.Range(0, seeds).Select(_ => scores[random.Next(scores.Length)])];
    }

    [Fact]
    public void Intervals_that_are_not_corrected_say_so()
    {
        string two = Amari.Reporting.Answer.Of(Accuracies(15, Correct("a", 14, 13, 14), Correct("b", 8, 6, 7)));
        Contains("(95 % interval", two);
        string three = Amari.Reporting.Answer.Of(Accuracies(15, Correct("a", 14, 13, 14), Correct("b", 8, 6, 7), Correct("c", 7, 6, 6)));
        Contains("(uncorrected 95 % interval", three);
        Lacks("(95 % interval", three);
    }

    [Fact]
    public void An_unknown_metric_of_one_seed_is_named_and_not_counted()
    {
        var runs = Correct("lion", 14, 14, 14);
        runs[2] = runs[2] with { FinalMetric = double.NaN };
        var comparison = Accuracies(15, Correct("adamw", 13, 12, 13), runs);
        string text = Amari.Reporting.Answer.Of(comparison);
        Contains("lion has no finite accuracy at the end with seed 2.", text);
        Lacks("Use lion", text);
        Assert.DoesNotContain("lion", Amari.Reporting.Answer.WinnersOf(comparison).Select(s => s.Optimizer));
        Assert.Contains("2 of 3 seeds", Summary.Of(comparison)[1].Cells()[3], StringComparison.Ordinal);
    }
}
