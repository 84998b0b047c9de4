using Amari.Ranks;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>What is said of runs in trouble.</summary>
public sealed class AnswerTroubleTests
{
    [Fact]
    public void Nobody_reached_it_or_all_diverged()
    {
        Starts(
            "No optimizer reached loss 0.1 within 10 s; b came closest, at loss 0.3 (a 0.5).",
            Answer(Make("a", 0, null, null, 0.5), Make("b", 0, null, null, 0.3))
        );
        Starts(
            "No recommendation can be made: every optimizer came apart, diverged or failed. a diverged on seed 0 (at step 1000). b "
                + "diverged on seed 0 (at step 1000). A smaller learning rate",
            Answer(Make("a", 0, null, null, double.NaN, RunStatus.Diverged), Make("b", 0, null, null, double.NaN, RunStatus.Diverged))
        );
        Assert.Equal("No run finished.", Answer());
    }

    [Fact]
    public void A_loss_that_is_not_finite_at_the_start_needs_another_start()
    {
        var run = Make("levenberg-marquardt", 0, null, null, double.NaN, RunStatus.Diverged) with
        {
            Steps = 1,
            Losses = [new(0, 0, double.NaN)],
        };
        string text = Answer(run);
        Starts(
            "levenberg-marquardt had a loss that is not finite at the start on seed 0: not recommended. "
                + "No step can be taken where the loss is not finite: choose another start.",
            text
        );
        Lacks("diverged", text);
        Lacks("smaller learning rate", text);
        Contains("not finite at the start", Trouble.Line(run)!);
    }

    [Fact]
    public void Where_the_data_are_not_finite_no_start_helps()
    {
        const string why = "The data contain numbers that are not finite: 1 in the training inputs.";
        var run = Make("adamw", 0, null, null, double.NaN, RunStatus.Diverged) with
        {
            Losses = [new(0, 0, double.NaN)],
            Events = [new(3, WorkloadData.EventSubject, why)],
        };
        string text = Answer(run);
        Contains(why + " Correct them, or leave their examples out.", text);
        Lacks("choose another start", text);
        Assert.Equal("The loss is not finite at the start, before the first step. " + why, Trouble.Line(run));
    }

    [Theory, InlineData(1, "Only 1 held-out example judges the runs"), InlineData(9, "Only 9 held-out examples judge the runs")]
    public void Few_held_out_examples_are_mentioned(long count, string expected)
    {
        BenchmarkResult few = new("w", "a", new("loss", 0.1), Budget.OfSeconds(10), [Make("sgd", 0, 1, 10, 0.05)], [])
        {
            HeldOutExamples = count,
        };
        Contains(expected, Amari.Reporting.Answer.Of(few));
        Lacks("held-out example", Amari.Reporting.Answer.Of(few with { HeldOutExamples = 10 }));
        Lacks("held-out example", Amari.Reporting.Answer.Of(few with { HeldOutExamples = null }));
    }

    [Fact]
    public void Some_seeds_are_not_all_of_them()
    {
        TrainingRun[] sgd = [Make("sgd", 0, 1, 10, 0.05), Make("sgd", 1, null, null, 0.5)];
        string none = Answer([.. sgd, Make("adamw", 0, null, null, 0.9), Make("adamw", 1, null, null, 1.4)]);
        Contains("No optimizer reached loss 0.1 with every seed within 10 s (sgd did with 1 of 2 seeds).", none);

        TrainingRun[] lion =
        [
            Make("lion", 0, 1, 10, 0.05),
            Make("lion", 1, 1, 10, 0.05),
            Make("lion", 2, null, null, double.NaN, RunStatus.Diverged),
        ];
        string safer = Answer([.. lion, .. Times("kfac", [3, 3, 3], 300)]);
        Starts("Use kfac, the only one without trouble: it reached loss 0.1 in 3 s (10 steps).", safer);
        Contains("lion diverged on seed 2 (at step 1000): not recommended. A smaller learning rate", safer);
        Lacks("faster", safer);
        Starts("lion did not reach loss 0.1", Answer([.. sgd.Select(r => r with { Optimizer = "lion" })]));
    }

    private static TrainingRun Apart(string optimizer, int seed, double? seconds, double best, double end) =>
        Make(optimizer, seed, seconds, seconds is null ? null : 10, end, RunStatus.CameApart) with
        {
            Best = new(500, 5, best, 0.9),
            Losses = [new(0, 0, 2), new(500, 5, best), new(1000, 10, end)],
        };

    [Fact]
    public void One_that_came_apart_is_named_and_not_recommended_however_fast()
    {
        TrainingRun[] kfac = [Make("kfac", 0, 1, 10, 0.01), Apart("kfac", 1, 1, 3e-10, 853), Apart("kfac", 2, 1, 2e-10, 7)];
        TrainingRun[] sgd = [Make("sgd", 0, 3, 10, 0.05), Make("sgd", 1, 3, 10, 0.05), Make("sgd", 2, 3, 10, 0.05)];
        string text = Answer([.. kfac, .. sgd]);
        Starts("Use sgd, the only one without trouble: it reached loss 0.1 in 3 s (10 steps).", text);
        Contains("kfac came apart on seeds 1 and 2 (best 3e-10 at step 500, ended at 853 at step 1000): not recommended.", text);
        Lacks("kfac needs", text);
        Lacks("kfac ended with", text);
        Contains("came apart\n2 of 3", new Summary("kfac", kfac).Cells()[2]);

        string two = Answer([.. kfac, .. sgd, .. Times("adamw", [5, 5.1, 5.2])]);
        Starts("Use sgd: it reached loss 0.1 first", two);
        Lacks("faster than kfac", two);

        string none = Answer([.. kfac, Make("lion", 0, null, null, double.NaN, RunStatus.Diverged)]);
        Starts(
            "No recommendation can be made: every optimizer came apart, diverged or failed. kfac came apart on seeds 1 and 2 (best",
            none
        );
        Lacks("Use ", none);

        string missed = Answer([.. kfac, Make("sgd", 0, null, null, 0.4)]);
        Starts(
            "No optimizer reached loss 0.1 and kept its progress within 10 s (kfac did with 3 of 3 seeds); sgd ended at loss 0.4.",
            missed
        );
        Starts(
            "kfac came apart on seed 1 (best 0.3 at step 500, ended at 853 at step 1000): not recommended.",
            Answer(Apart("kfac", 1, null, 0.3, 853))
        );
    }

    [Fact]
    public void One_that_came_apart_after_a_held_out_target_is_not_recommended()
    {
        var apart = Apart("kfac", 0, 1, 0.01, 853) with { HeldOut = [new(0, 0, 2, 0.1), new(500, 5, 0.2, 0.9), new(1000, 10, 900, 0.1)] };
        var comparison = Compared(
            "held-out loss",
            0.3,
            [apart],
            Times("sgd", [5]).HeldOut([0.25], [0.25]),
            Times("lion", [6]).HeldOut([0.2], [0.2])
        );
        string text = Amari.Reporting.Answer.Of(comparison);
        Starts("sgd was first: it reached held-out loss 0.3 in 5 s", text);
        Contains("kfac came apart on seed 0 (training loss: best 0.01 at step 500, ended at 853 at step 1000): not recommended.", text);
        Lacks("kfac took", text);
    }

    [Fact]
    public void One_that_lost_its_held_out_loss_is_not_recommended()
    {
        var lost = Times("kfac", [1]).HeldOut([0.2], [double.PositiveInfinity]);
        string text = Amari.Reporting.Answer.Of(Compared("held-out loss", 0.3, lost, Times("sgd", [5]).HeldOut([0.25], [0.25])));
        Starts("sgd is the only one without trouble", text);
        Contains("kfac ended with a held-out loss that is not finite on seed 0: not recommended.", text);
        Contains("not finite", new Summary("kfac", lost).Cells()[2]);
    }

    [Fact]
    public void One_that_the_user_stopped_after_it_came_apart_is_not_recommended()
    {
        var stopped = Apart("kfac", 0, 1, 1e-9, 40) with { Status = RunStatus.Interrupted, CameApart = true };
        string text = Answer(stopped, Make("sgd", 0, 3, 10, 0.05));
        Starts("sgd is the only one without trouble: it reached loss 0.1 in 3 s", text);
        Assert.Contains("kfac came apart on seed 0", text, StringComparison.Ordinal);
    }

    [Fact]
    public void One_that_failed_is_named_with_its_message()
    {
        var failed = Make("lion", 1, null, null, 0.5, RunStatus.Failed) with
        {
            Failure = new InvalidOperationException("The table is upside down.\nReally."),
            Parameters = 0,
            Losses = [],
            FinalMetric = double.NaN,
        };
        string text = Answer(failed, Make("sgd", 0, 3, 10, 0.05));
        Starts("sgd is the only one without trouble: it reached loss 0.1 in 3 s", text);
        Assert.Contains(
            "lion failed on seed 1 (at step 1000: InvalidOperationException: The table is upside down.): not recommended.",
            text,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("smaller learning rate", text, StringComparison.Ordinal);
        Assert.Equal(["not reached", "-", "failed", "-", "1", "-"], new Summary("lion", [failed]).Cells());
        Assert.Contains(
            "The table is upside down.",
            HtmlReport.Of([
                new(new("digits-mlp", "accuracy", new("loss", 0.1), Budget.OfSeconds(1), [failed], []), new Amari.Workloads.DigitsMlp()),
            ]),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void One_that_rests_at_the_mean_is_warned_of()
    {
        var resting = Make("kfac", 0, null, null, 206.9) with
        {
            Best = new(900, 9, 206.9, 0.1),
            Plateau = new(206.9, 50, 1000, 0.9, true, 2.9),
        };
        var learning = Make("adamw", 0, null, null, 81) with { Best = new(900, 9, 80, 0.1) };
        Assert.Contains(
            "kfac ended at the loss of a constant prediction (206.9): it learned only the mean of the targets, while adamw reached 80; "
                + "try another initialisation (--start)",
            Answer(resting, learning),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "learned only the mean of the targets, unless the data permit no lower loss;",
            Answer(resting),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "kfac and lion ended at the loss of a constant prediction (206.9): they learned only the mean of the targets, unless",
            Answer(resting, resting with { Optimizer = "lion" }, Make("sgd", 0, null, null, 205) with { Best = new(900, 9, 205, 0.1) }),
            StringComparison.Ordinal
        );
        Assert.Contains("kfac (seed 0) ended", Answer(resting, Make("kfac", 1, null, null, 90)), StringComparison.Ordinal);
        Assert.Contains(
            "kfac stayed at the loss of a constant prediction (206.9) from step 50 to 700 of seed 0, 65 % of the budget.",
            Answer(resting with { Plateau = new(206.9, 50, 700, 0.65, false, 2.9) }),
            StringComparison.Ordinal
        );
    }
}
