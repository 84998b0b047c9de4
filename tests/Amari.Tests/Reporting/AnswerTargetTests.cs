using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>What the target is, and one that the initial weights meet.</summary>
public sealed class AnswerTargetTests
{
    [Fact]
    public void The_origin_of_a_target_is_said_once()
    {
        var result = Compared("loss", 0.1, Times("kfac", [1, 1, 1], 40), Times("adamw", [3, 3.3, 3.6]));
        Lacks("The target is", Amari.Reporting.Answer.Of(result));
        result = result with { Target = new DiabetesMlp().Target };
        const string sentence = "The target is the held-out loss of a linear model (linear regression).";
        Contains(sentence, Amari.Reporting.Answer.Of(result));
        Assert.Equal(2, HtmlReport.Of([new(result, "planted", 8)]).Split(sentence).Length);
        Assert.Equal(2, HtmlReport.Of([new(result, "planted", 8) { IsOpen = true }]).Split(sentence).Length);
    }

    [Fact]
    public void A_target_met_at_the_start_compares_no_times()
    {
        double[] ends = [0.01, 0.011, 0.0105];
        var result = Compared(
            "loss",
            5,
            Times("kfac", [0, 0, 0], ends: ends),
            Times("adamw", [0, 0, 0], ends: [.. ends.Select(e => 20 * e)])
        );
        string text = Amari.Reporting.Answer.Of(result);
        Starts("The initial weights already meet the target, loss 5, so it cannot compare optimizers: choose a harder one with ", text);
        Contains("kfac ended with the lowest loss, 0.0105, better than all others.", text);
        Lacks(" s (", text);
        Assert.Equal(["kfac"], Amari.Reporting.Answer.WinnersOf(result).Select(s => s.Optimizer));
    }

    [Fact]
    public void A_target_met_at_the_start_leaves_single_runs_described()
    {
        TrainingRun[] kfac = Times("kfac", [0], ends: [0.01]),
            adamw = Times("adamw", [0], ends: [0.2]);
        Contains("choose a harder one with --target. kfac ended at loss 0.01.", Amari.Reporting.Answer.Of(Compared("loss", 5, kfac)));
        string text = Amari.Reporting.Answer.Of(Compared("loss", 5, kfac, adamw));
        Contains("choose a harder one with --target. kfac ended with the lowest loss, 0.01.", text);
        Lacks(" was first", text);
    }
}
