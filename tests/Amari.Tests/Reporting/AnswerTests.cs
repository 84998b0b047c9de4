using Amari.Ranks;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;

namespace Amari.Tests.Reporting;

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

    internal static string Answer(params TrainingRun[] runs) =>
        Amari.Reporting.Answer.Of(new("w", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), runs, []));

    internal static void Contains(string expected, string text) => Assert.Contains(expected, text, StringComparison.Ordinal);

    internal static void Lacks(string unexpected, string text) => Assert.DoesNotContain(unexpected, text, StringComparison.Ordinal);

    internal static void Starts(string expected, string text) => Assert.StartsWith(expected, text, StringComparison.Ordinal);

    private const double Miss = double.NaN;

    [Fact]
    public void With_one_seed_the_order_is_described_and_nothing_recommended()
    {
        string text = Answer(Make("adamw", 0, 2, 1000, 0.05), Make("kfac", 0, 4, 100, 0.01));
        Starts("adamw was first: it reached loss 0.1 in 2 s (1000 steps). kfac took 2 times as long: 4 s (100 steps).", text);
        Contains("adamw needs more steps than kfac (1000 against 100), but those of kfac take 20 times as long.", text);
        Contains("kfac ended with the lowest loss, 0.01 (adamw 0.05).", text);
        Contains("Only one seed was run, so no test is possible", text);
        Lacks("Use ", text.Replace("use --seeds", "", StringComparison.Ordinal));
        Lacks("faster", text);
        Lacks("paired t tests", text);
    }

    /// <summary>ln 3, ln 3.3 and ln 3.6 apart: t = 22.6 with 2 degrees of freedom, p = 0.0019; the interval is e^(mean ± 4.303 s /
    /// √3).</summary>
    [Fact]
    public void A_difference_in_time_is_claimed_with_its_interval()
    {
        string text = Amari.Reporting.Answer.Of(Compared("loss", 0.1, Times("kfac", [1, 1, 1], 40), Times("adamw", [3, 3.3, 3.6])));
        Starts("Use kfac: it reached loss 0.1 first, in 1 s (25 steps), medians of 3 seeds.", text);
        Contains("kfac needs fewer steps than adamw (25 against 330); each takes 4 times as long.", text);
        Contains("kfac is faster than adamw by a factor of 3.3 (95 % interval 2.6 to 4.1; p = 0.0019).", text);
        Contains("paired t tests over the seeds at 5 %, with Holm's correction.", text);
        Lacks("Only one seed", text);
    }

    [Fact]
    public void Rivals_that_the_test_does_not_separate_share_the_recommendation()
    {
        string text = Amari.Reporting.Answer.Of(
            Compared(
                "loss",
                0.1,
                Times("a", [2, 2.4, 2.1]),
                Times("b", [2.1, 2.3, 2.3]),
                Times("c", [5, 5.2, 5.1]),
                Times("d", [9, 9, 9.5])
            )
        );
        Starts("Use a or b: they were first to reach loss 0.1 and cannot be told apart (a 2.1 s, 210 steps; b 2.3 s, 230 steps;", text);
        Contains(
            "If the differences stay as they are, 17 more seeds would separate b (1.03 times as long as a; uncorrected 95 % interval ",
            text
        );
        Contains("a is faster than c by a factor of 2.4 (uncorrected 95 % interval", text);
        Contains(" and than d by a factor of 4.2 (uncorrected 95 % interval", text);
        Lacks("faster than b", text);
    }

    /// <summary>The third is the slowest by its median and still tied: the second alone would not show it.</summary>
    [Fact]
    public void The_leader_is_tested_against_all()
    {
        string text = Amari.Reporting.Answer.Of(
            Compared("loss", 0.1, Times("a", [2, 2.1, 2.2]), Times("b", [3, 3.2, 3.3]), Times("c", [2, 5, 3.9]))
        );
        Starts("Use a or c: ", text);
        Contains("a is faster than b by a factor of 1.5 (", text);
    }

    [Fact]
    public void Equal_optimizers_have_no_winner()
    {
        string text = Amari.Reporting.Answer.Of(Compared("loss", 0.1, Times("a", [2, 2.4, 2.1]), Times("b", [2, 2.4, 2.1])));
        Starts("a and b cannot be told apart by the time to loss 0.1 (a 2.1 s, 210 steps; b 2.1 s, 210 steps; medians of 3 seeds).", text);
        Contains("b does not differ on average.", text);
        Contains("At the end of the budget a 0.05 and b 0.05 cannot be told apart by the loss.", text);
        Lacks("Use ", text);
    }

    [Fact]
    public void Holm_withholds_a_claim_that_a_single_test_would_make()
    {
        double[] fast = [2, 2.1, 2.05, 1.95],
            slow = [2.05, 2.5, 2.3, 2.15]; // p = 0.044 alone
        Starts("Use a: it reached", Amari.Reporting.Answer.Of(Compared("loss", 0.1, Times("a", fast), Times("b", slow))));
        string text = Amari.Reporting.Answer.Of(Compared("loss", 0.1, Times("a", fast), Times("b", slow), Times("c", slow)));
        Starts("a reached loss 0.1 first, in 2.03 s (202 steps), medians of 4 seeds, but no difference in time is beyond chance.", text);
        Contains("were slower than a in all 4 seeds, but vary too much over the seeds for the test to exclude them", text);
    }

    [Fact]
    public void The_end_of_the_budget_may_have_another_winner()
    {
        var comparison = Compared(
            "held-out loss",
            0.3,
            Times("kfac", [1, 1.1, 1.2], 40).HeldOut([0.2, 0.21, 0.2], [0.2, 0.21, 0.2]),
            Times("adamw", [3, 3.3, 3.1]).HeldOut([0.12, 0.11, 0.12], [0.12, 0.11, 0.13])
        );
        string text = Amari.Reporting.Answer.Of(comparison);
        Starts("Use kfac where the time to held-out loss 0.3 counts: it reached that first, in 1.1 s (28 steps)", text);
        Contains(
            "Use adamw where the end of the budget counts: it ended with the lowest held-out loss, 0.12; it is better than kfac by 0.0833",
            text
        );
        Contains("95 % interval 0.0454 to 0.121", text);
    }

    [Fact]
    public void A_training_target_leaves_the_end_to_held_out_data()
    {
        var comparison = Compared(
            "loss",
            0.1,
            Times("kfac", [1, 1.1, 1.2], ends: [1e-6, 1e-6, 1e-6]).HeldOut([0.2, 0.21, 0.2], [0.4, 0.41, 0.4]),
            Times("adamw", [3, 3.3, 3.1], ends: [0.01, 0.01, 0.01]).HeldOut([0.12, 0.11, 0.12], [0.12, 0.11, 0.13])
        );
        string text = Amari.Reporting.Answer.Of(comparison);
        Contains("Use adamw where the end of the budget counts: it ended with the lowest held-out loss, 0.12", text);
        Contains("kfac overfits: its held-out loss was 0.2 at step 500 and 0.4 at the end (seed 0)", text);
    }

    [Theory]
    [InlineData(true, "Use b: it ended with the highest accuracy, 0.951, medians of 3 seeds. b is better than a by 0.04")]
    [InlineData(false, "Use a: it ended with the lowest squared error, 0.91, medians of 3 seeds. a is better than b by 0.04")]
    public void Where_none_reached_the_target_the_ends_decide(bool higherIsBetter, string expected)
    {
        TrainingRun[] Missed(string name, double[] metrics) =>
            Times(name, [Miss, Miss, Miss]).HeldOut([0.3, 0.3, 0.3], [0.3, 0.3, 0.3], metrics);
        string metric = higherIsBetter ? "accuracy" : "squared error";
        var comparison = Compared(metric, higherIsBetter ? 0.99 : 0.5, Missed("a", [0.9, 0.91, 0.92]), Missed("b", [0.94, 0.951, 0.959]));
        string text = Amari.Reporting.Answer.Of(comparison with { Metric = metric, HigherIsBetter = higherIsBetter });
        Starts(expected, text);
        Contains($"No optimizer reached {metric}", text);
        Assert.Contains(
            higherIsBetter ? "best 0.91" : "best 0.1",
            Summary.Of(comparison with { Metric = metric, HigherIsBetter = higherIsBetter })[0].Cells()[3],
            StringComparison.Ordinal
        );
    }

    [Theory]
    [InlineData(0.19, 1.0, false), InlineData(0.21, 9.9, true)] // reported by the system: processor time does not matter
    [InlineData(null, 9.5, false), InlineData(null, 7.0, true), InlineData(null, 0.0, false)] // in 10 s of training and 1 s of evaluation
    public void Busy_is_a_fifth_of_the_time_without_a_processor(double? waited, double cpu, bool busy) =>
        Assert.Equal(
            busy,
            Conditions.IsBusy(Make("sgd", 0, 1, 10, 0.1) with { WaitedForCpu = waited, CpuSeconds = cpu, EvaluationSeconds = 1 })
        );

    [Fact]
    public void Settings_schedules_and_foreknowledge_are_stated()
    {
        var comparison = Compared("loss", 0.1, Times("kfac", [1, 1.1, 1.2]), Times("schedulefree-adamw", [3, 3.3, 3.1]));
        string text = Amari.Reporting.Answer.Of(comparison);
        Contains("Each optimizer ran at its defaults; --tune N", text);
        Contains(
            "Without the learning-rate schedule of the others: schedulefree-adamw averages its iterates in place of a schedule.",
            text
        );
        Lacks("K-FAC's defaults", text);
        Contains("with decay the order may differ.", Amari.Reporting.Answer.Of(comparison with { Schedule = Schedule.Constant }));
        Contains(
            "K-FAC's defaults and ranges were chosen on this workload: its result supports no claim for other workloads.",
            Amari.Reporting.Answer.Of(comparison with { DefaultsChosenHere = true })
        );
        Lacks(
            "K-FAC's defaults",
            Amari.Reporting.Answer.Of(Compared("loss", 0.1, Times("a", [1, 1]), Times("b", [3, 3.3])) with { DefaultsChosenHere = true })
        );
        Contains(
            "the workload's settings, found with an unknown number of trials",
            Amari.Reporting.Answer.Of(comparison with { Settings = SettingsSource.Workload })
        );
        Trial Tried(string name, string rate, double budget) =>
            new(name, new Dictionary<string, string> { ["LearningRate"] = rate }, Budget.OfSeconds(budget), 1);
        Trial[] two = [Tried("kfac", "1", 2.5), Tried("kfac", "2", 2.5), Tried("kfac", "2", 10)];
        Contains(
            "Each optimizer was tuned by 2 trials on a validation part of the training data.",
            Amari.Reporting.Answer.Of(comparison with { Settings = SettingsSource.Tuned, Trials = two })
        );
        Contains(
            "was tuned by 1 to 2 trials",
            Amari.Reporting.Answer.Of(comparison with { Settings = SettingsSource.Tuned, Trials = [.. two, Tried("sgd", "1", 10)] })
        );
    }

    [Theory]
    [InlineData(30), InlineData(60), InlineData(80), InlineData(100), InlineData(140)]
    public void The_table_is_never_wider_than_the_console(int width)
    {
        var comparison = Compared(
            "held-out loss",
            0.3,
            Times("schedulefree-adamw", [1.234, 1.345, 1.456]).HeldOut([0.2123, 0.2234, 0.2345], [0.3123, 0.3234, 0.3345]),
            Times("kfac", [Miss, 1, 2], 40).HeldOut([1e-9, 2e-9, 3e-9], [0.2, 0.21, 0.2])
        );
        using var text = new StringWriter();
        var console = Spectre.Console.AnsiConsole.Create(new() { Out = new Spectre.Console.AnsiConsoleOutput(text) });
        console.Profile.Width = 200;
        foreach (var table in ResultTable.Of(comparison, width))
            console.Write(table);
        Assert.All(text.ToString().Split('\n'), line => Assert.True(line.TrimEnd().Length <= Math.Max(width, 38), line));
        Contains("1.23..1.46", text.ToString());
        Contains("best 2e-9", text.ToString());
        Contains("/param", text.ToString());
    }

    [Fact]
    public void Defaults_were_chosen_on_four_workloads() =>
        Assert.Equal(
            ["digits-mlp", "digits-conv", "autoencoder", "autoencoder-sigmoid"],
            WorkloadCatalog.All.Where(w => w.DefaultsChosenHere).Select(w => w.Name)
        );

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
        var json = System.Text.Json.Nodes.JsonNode.Parse(ResultJson.Of([comparison]))!["runs"]![0]!;
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
        Assert.Equal(code, Report.ExitCode([comparison]));
        Assert.Equal(
            status == RunStatus.Interrupted ? 1 : 0,
            Report.ExitCode([comparison with { Runs = [run, Make("adamw", 0, null, null, 0.5)] }])
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
    public void A_negative_zero_has_no_sign() => Assert.Equal("0", Number.Short(-0.0));

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
        string json = ResultJson.Of([
            new(
                "w",
                "accuracy",
                new("loss", 0.1),
                Budget.OfSeconds(1),
                [Make("a", 0, null, null, double.NaN)],
                [new("a", new Dictionary<string, string>(), Budget.OfSeconds(1), double.NaN)]
            ),
        ]);
        Assert.Contains("\"finalLoss\": null", json, StringComparison.Ordinal);
        Assert.Contains("\"secondsToTarget\": null", json, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", json, StringComparison.Ordinal);
    }
}
