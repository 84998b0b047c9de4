using Amari.Cli.Reporting;
using Amari.Training;

namespace Amari.Tests.Cli;

/// <summary>What is recommended, and that no more is said than the numbers carry.</summary>
public sealed class AnswerTests
{
    internal static Run Make(string optimizer, int seed, double? seconds, long? steps, double loss, RunStatus status = RunStatus.Completed) => new()
    {
        Optimizer = optimizer, Options = new Dictionary<string, string>(), Seed = seed, Steps = 1000, Seconds = 10, Losses = [new(0, 0, 2), new(1000, 10, loss)],
        StepsToTarget = steps, SecondsToTarget = seconds, FinalLoss = loss, FinalMetric = 0.9, MillisecondsPerStep = seconds is { } s && steps is { } n ? 1000 * s / n : 1,
        Parameters = 4, StateBytes = 10, Coverage = [], Events = [], Status = status,
    };

    private static string Answer(params Run[] runs) => Amari.Cli.Reporting.Answer.Of(new("w", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), runs, []));

    [Fact]
    public void Fastest_by_the_clock_wins_and_fewest_steps_is_told()
    {
        string text = Answer(Make("adamw", 0, 2, 1000, 0.05), Make("kfac", 0, 4, 100, 0.01));
        Assert.StartsWith("Use adamw: it reached loss 0.1 first, in 2 s (1000 steps). kfac took 2.0 times as long", text, StringComparison.Ordinal);
        Assert.Contains("kfac needed the fewest steps (100), but each costs 20.0 times as much", text, StringComparison.Ordinal);
        Assert.Contains("kfac ended lowest", text, StringComparison.Ordinal);
        Assert.Contains("This is one seed.", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Tie_overlap_and_misses_are_told()
    {
        string text = Answer(Make("a", 0, 2, 10, 0.05), Make("a", 1, 3, 10, 0.05), Make("b", 0, 2.1, 10, 0.05), Make("b", 1, 3.05, 10, 0.05), Make("c", 0, null, null, 0.5), Make("c", 1, null, null, 0.5));
        Assert.Contains("as fast within the noise", text, StringComparison.Ordinal);
        Assert.Contains("The seeds overlap", text, StringComparison.Ordinal);
        Assert.Contains("c did not reach it within 10 s", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Nobody_reached_it_or_all_diverged()
    {
        Assert.StartsWith("No optimizer reached loss 0.1 within 10 s; b came closest, at loss 0.3.", Answer(Make("a", 0, null, null, 0.5), Make("b", 0, null, null, 0.3)), StringComparison.Ordinal);
        Assert.Contains("Diverged: a (1 of 1), b (1 of 1)", Answer(Make("a", 0, null, null, double.NaN, RunStatus.Diverged), Make("b", 0, null, null, double.NaN, RunStatus.Diverged)), StringComparison.Ordinal);
        Assert.Equal("No run was finished.", Answer());
    }

    [Fact]
    public void Some_seeds_are_not_all_of_them()
    {
        Run[] sgd = [Make("sgd", 0, 1, 10, 0.05), Make("sgd", 1, null, null, 0.5)];
        string none = Answer([.. sgd, Make("adamw", 0, null, null, 0.9), Make("adamw", 1, null, null, 1.1)]);
        Assert.StartsWith("No optimizer reached loss 0.1 with most seeds within 10 s (sgd did with 1 of 2 seeds); sgd came closest, at loss 0.275.", none, StringComparison.Ordinal);

        Run[] lion = [Make("lion", 0, 1, 10, 0.05), Make("lion", 1, 1, 10, 0.05), Make("lion", 2, null, null, double.NaN, RunStatus.Diverged)];
        Run[] kfac = [Make("kfac", 0, 3, 10, 0.05), Make("kfac", 1, 3, 10, 0.05), Make("kfac", 2, 3, 10, 0.05)];
        string safer = Answer([.. lion, .. kfac]);
        Assert.StartsWith("Use kfac: it reached loss 0.1 first, in 3 s (10 steps). lion was faster where it got there (1 s), but that was with 2 of 3 seeds.", safer, StringComparison.Ordinal);
        Assert.Contains("Diverged: lion (1 of 3)", safer, StringComparison.Ordinal);
        Assert.DoesNotContain("ended lowest", safer, StringComparison.Ordinal);
        Assert.StartsWith("lion reached loss 0.1 in 1 s (10 steps), but only with 2 of 3 seeds.", Answer(lion), StringComparison.Ordinal);
        Assert.StartsWith("No optimizer reached loss 0.1 with every seed; lion did best, with 2 of 3 seeds, in 1 s (10 steps). sgd reached it with only 1 of 2 seeds.", Answer([.. lion, .. sgd]), StringComparison.Ordinal);
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
        var run = Make("kfac", 0, null, null, 0.5) with { Coverage = [new("<b>w</b>", "&block", "\"reason\"")], Events = [new(1, "<script>", "</script>alert(1)")] };
        string page = HtmlReport.Of(new("digits-mlp", "accuracy", new("loss", 0.1), Budget.OfSeconds(1), [run], []), new Amari.Workloads.DigitsMlp());
        Assert.DoesNotContain("<b>w</b>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("</script>alert(1)", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;w&lt;/b&gt;", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Json_has_null_for_what_is_not_finite()
    {
        string json = ResultJson.Of(new("w", "accuracy", new("loss", 0.1), Budget.OfSeconds(1), [Make("a", 0, null, null, double.NaN)], [new("a", new Dictionary<string, string>(), Budget.OfSeconds(1), double.NaN)]));
        Assert.Contains("\"finalLoss\": null", json, StringComparison.Ordinal);
        Assert.Contains("\"secondsToTarget\": null", json, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", json, StringComparison.Ordinal);
    }
}
