using Amari.Ranks;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Cli;

/// <summary>What is recommended, and that no more is said than the numbers carry.</summary>
public sealed class AnswerTests
{
    internal static TrainingRun Make(
        string optimizer,
        int seed,
        double? seconds,
        long? steps,
        double loss,
        RunStatus status = RunStatus.Completed
    ) =>
        new()
        {
            Optimizer = optimizer,
            Options = new Dictionary<string, string>(),
            Seed = seed,
            Steps = 1000,
            Seconds = 10,
            Losses = [new(0, 0, 2), new(1000, 10, loss)],
            StepsToTarget = steps,
            SecondsToTarget = seconds,
            FinalLoss = loss,
            FinalMetric = 0.9,
            MillisecondsPerStep = seconds is { } s && steps is { } n ? 1000 * s / n : 1,
            Parameters = 4,
            StateBytes = 10,
            Coverage = [],
            Events = [],
            Status = status,
        };

    private static string Answer(params TrainingRun[] runs) =>
        Amari.Reporting.Answer.Of(new("w", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), runs, []));

    [Fact]
    public void Fastest_by_the_clock_wins_and_fewest_steps_is_told()
    {
        string text = Answer(Make("adamw", 0, 2, 1000, 0.05), Make("kfac", 0, 4, 100, 0.01));
        Assert.StartsWith(
            "Use adamw: it reached loss 0.1 first, in 2 s (1000 steps). kfac took 2.0 times as long",
            text,
            StringComparison.Ordinal
        );
        Assert.Contains("kfac needed the fewest steps (100), but each takes 20.0 times as long", text, StringComparison.Ordinal);
        Assert.Contains("kfac reached the lowest final loss", text, StringComparison.Ordinal);
        Assert.Contains("Only one seed was run.", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Tie_overlap_and_misses_are_told()
    {
        string text = Answer(
            Make("a", 0, 2, 10, 0.05),
            Make("a", 1, 3, 10, 0.05),
            Make("b", 0, 2.1, 10, 0.05),
            Make("b", 1, 3.05, 10, 0.05),
            Make("c", 0, null, null, 0.5),
            Make("c", 1, null, null, 0.5)
        );
        Assert.Contains("equally fast within the noise", text, StringComparison.Ordinal);
        Assert.Contains("The times of the seeds overlap", text, StringComparison.Ordinal);
        Assert.Contains("c did not reach it within 10 s", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Nobody_reached_it_or_all_diverged()
    {
        Assert.StartsWith(
            "No optimizer reached loss 0.1 within 10 s; b came closest, at loss 0.3.",
            Answer(Make("a", 0, null, null, 0.5), Make("b", 0, null, null, 0.3)),
            StringComparison.Ordinal
        );
        Assert.StartsWith(
            "No recommendation can be made: every optimizer came apart, diverged or failed. a diverged on seed 0. b diverged on seed 0. A "
                + "smaller learning rate",
            Answer(Make("a", 0, null, null, double.NaN, RunStatus.Diverged), Make("b", 0, null, null, double.NaN, RunStatus.Diverged)),
            StringComparison.Ordinal
        );
        Assert.Equal("No run finished.", Answer());
    }

    [Fact]
    public void Some_seeds_are_not_all_of_them()
    {
        TrainingRun[] sgd = [Make("sgd", 0, 1, 10, 0.05), Make("sgd", 1, null, null, 0.5)];
        string none = Answer([.. sgd, Make("adamw", 0, null, null, 0.9), Make("adamw", 1, null, null, 1.1)]);
        Assert.StartsWith(
            "No optimizer reached loss 0.1 with most seeds within 10 s (sgd did with 1 of 2 seeds); sgd came closest, at loss 0.275.",
            none,
            StringComparison.Ordinal
        );

        TrainingRun[] lion =
        [
            Make("lion", 0, 1, 10, 0.05),
            Make("lion", 1, 1, 10, 0.05),
            Make("lion", 2, null, null, double.NaN, RunStatus.Diverged),
        ];
        TrainingRun[] kfac = [Make("kfac", 0, 3, 10, 0.05), Make("kfac", 1, 3, 10, 0.05), Make("kfac", 2, 3, 10, 0.05)];
        string safer = Answer([.. lion, .. kfac]);
        Assert.StartsWith(
            "Use kfac: it reached loss 0.1 first, in 3 s (10 steps). lion was faster (1 s), but reached it with only 2 of 3 " + "seeds.",
            safer,
            StringComparison.Ordinal
        );
        Assert.Contains("lion diverged on seed 2: not recommended. A smaller learning rate", safer, StringComparison.Ordinal);
        Assert.DoesNotContain("the lowest final loss", safer, StringComparison.Ordinal);
        Assert.StartsWith("lion reached loss 0.1 in 1 s (10 steps), but only with 2 of 3 seeds.", Answer(lion), StringComparison.Ordinal);
        TrainingRun[] adam = [Make("adam", 0, 1, 10, 0.05), Make("adam", 1, 1, 10, 0.05), Make("adam", 2, null, null, 0.4)];
        Assert.StartsWith(
            "No optimizer reached loss 0.1 with every seed; adam did best, with 2 of 3 seeds, in 1 s (10 steps). sgd reached it with only "
                + "1 of 2 seeds.",
            Answer([.. adam, .. sgd]),
            StringComparison.Ordinal
        );
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
        Assert.StartsWith("Use sgd: it reached loss 0.1 first, in 3 s (10 steps).", text, StringComparison.Ordinal);
        Assert.Contains(
            "kfac came apart on seeds 1 and 2 (best 3e-10 at step 500, ended at 853): not recommended.",
            text,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("kfac needed", text, StringComparison.Ordinal);
        Assert.DoesNotContain("kfac reached the lowest final loss", text, StringComparison.Ordinal);
        Assert.Contains("came apart\n2 of 3", new Summary("kfac", kfac).Cells()[2], StringComparison.Ordinal);

        string none = Answer([.. kfac, Make("lion", 0, null, null, double.NaN, RunStatus.Diverged)]);
        Assert.StartsWith(
            "No recommendation can be made: every optimizer came apart, diverged or failed. kfac came apart on seeds 1 and 2 (best",
            none,
            StringComparison.Ordinal
        );
        Assert.DoesNotContain("Use ", none, StringComparison.Ordinal);

        string missed = Answer([.. kfac, Make("sgd", 0, null, null, 0.4)]);
        Assert.StartsWith(
            "No optimizer reached loss 0.1 and kept its progress within 10 s (kfac did with 3 of 3 seeds); sgd came closest, at "
                + "loss 0.4.",
            missed,
            StringComparison.Ordinal
        );
        Assert.StartsWith(
            "No optimizer reached loss 0.1 with every seed and kept its progress; adam did best, with 2 of 3 seeds",
            Answer([.. kfac, Make("adam", 0, 1, 10, 0.05), Make("adam", 1, 1, 10, 0.05), Make("adam", 2, null, null, 0.4)]),
            StringComparison.Ordinal
        );
        Assert.StartsWith(
            "kfac came apart on seed 1 (best 0.3 at step 500, ended at 853): not recommended.",
            Answer(Apart("kfac", 1, null, 0.3, 853)),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void One_that_the_user_stopped_after_it_came_apart_is_not_recommended()
    {
        var stopped = Apart("kfac", 0, 1, 1e-9, 40) with { Status = RunStatus.Interrupted, CameApart = true };
        string text = Answer(stopped, Make("sgd", 0, 3, 10, 0.05));
        Assert.StartsWith("Use sgd", text, StringComparison.Ordinal);
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
        Assert.StartsWith("Use sgd", text, StringComparison.Ordinal);
        Assert.Contains(
            "lion failed on seed 1 (InvalidOperationException: The table is upside down.): not recommended.",
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

    [Theory]
    [InlineData(RunStatus.Completed, "completed", 0), InlineData(RunStatus.CameApart, "came-apart", 1)]
    [
        InlineData(RunStatus.Diverged, "diverged", 1),
        InlineData(RunStatus.Failed, "failed", 1),
        InlineData(RunStatus.Interrupted, "interrupted", 1)
    ]
    public void A_status_has_a_stable_name_and_an_exit_code(RunStatus status, string name, int code)
    {
        var run = Make("sgd", 0, null, null, 0.5, status) with { Best = new(400, 4, 0.25, 0.75), WeightInit = WeightInit.PyTorch };
        var comparison = new BenchmarkResult("w", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), [run], []);
        var json = System.Text.Json.Nodes.JsonNode.Parse(ResultJson.Of(comparison))!["runs"]![0]!;
        Assert.Equal((name, "pytorch"), ((string)json["status"]!, (string)json["start"]!));
        Assert.Equal(
            (400, 4.0, 0.25, 0.75),
            (
                (long)json["best"]!["step"]!,
                (double)json["best"]!["seconds"]!,
                (double)json["best"]!["loss"]!,
                (double)json["best"]!["metric"]!
            )
        );
        Assert.Equal(code, Report.ExitCode(comparison));
        Assert.Equal(
            status == RunStatus.Interrupted ? 1 : 0,
            Report.ExitCode(comparison with { Runs = [run, Make("adamw", 0, null, null, 0.5)] })
        );
    }

    [Fact]
    public void A_stopped_run_did_not_miss_the_target()
    {
        var stopped = Make("kfac", 0, null, null, 0.5, RunStatus.Interrupted);
        string text = Answer(Make("adamw", 0, 2, 1000, 0.05), stopped);
        Assert.DoesNotContain("kfac did not reach", text, StringComparison.Ordinal);
        Assert.Contains("The comparison was interrupted", text, StringComparison.Ordinal);
        Assert.StartsWith("Stopped before kfac reached loss 0.1.", Answer(stopped), StringComparison.Ordinal);
        Assert.Equal("stopped", new Summary("kfac", [stopped]).Cells()[0]);
    }

    [Theory]
    [InlineData(0, "0"), InlineData(0.0533, "0.0533"), InlineData(1316.06, "1316"), InlineData(2.69e-5, "2.69e-5"), InlineData(9.999, "10")]
    [InlineData(-0.25, "-0.25"), InlineData(2.5e7, "2.5e7"), InlineData(double.NaN, "NaN")]
    public void Numbers_are_short(double value, string expected) => Assert.Equal(expected, Number.Short(value));

    [Fact]
    public void Page_escapes_what_it_shows()
    {
        var run = Make("kfac", 0, null, null, 0.5) with
        {
            Coverage = [new("<b>w</b>", "&block", "\"reason\"")],
            Events = [new(1, "<script>", "</script>alert(1)")],
        };
        string page = HtmlReport.Of([
            new(new("digits-mlp", "accuracy", new("loss", 0.1), Budget.OfSeconds(1), [run], []), new Amari.Workloads.DigitsMlp()),
        ]);
        Assert.DoesNotContain("<b>w</b>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("</script>alert(1)", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;w&lt;/b&gt;", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_has_null_for_what_is_not_finite()
    {
        string json = ResultJson.Of(
            new(
                "w",
                "accuracy",
                new("loss", 0.1),
                Budget.OfSeconds(1),
                [Make("a", 0, null, null, double.NaN)],
                [new("a", new Dictionary<string, string>(), Budget.OfSeconds(1), double.NaN)]
            )
        );
        Assert.Contains("\"finalLoss\": null", json, StringComparison.Ordinal);
        Assert.Contains("\"secondsToTarget\": null", json, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", json, StringComparison.Ordinal);
    }
}
