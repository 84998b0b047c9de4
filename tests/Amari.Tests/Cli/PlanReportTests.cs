using System.Text.RegularExpressions;
using Amari.Reporting;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Cli;

/// <summary>The table and the figure of <c>amari plan</c>, from planted predictions.</summary>
public sealed partial class PlanReportTests
{
    private static readonly Dictionary<string, string> None = [];

    private static StepPlan Plan(string name, double milliseconds, double? waited = null) =>
        new(new(name, None), 1000, 32)
        {
            StateBytes = 8000,
            Milliseconds = milliseconds,
            Spread = Around(milliseconds),
            Kinds = [new(1, [], 1, 32, Around(milliseconds))],
            CpuMilliseconds = 1.5 * milliseconds,
            WaitedForCpu = waited,
            FromStep = 1,
            Steps = 32,
        };

    private static Quartiles Around(double ms) => new(0.5 * ms, 0.9 * ms, ms, 1.1 * ms, 10 * ms);

    private static (string Output, string[] Svg) Write(params StepPlan[] plans)
    {
        using var folder = new TemporaryFolder();
        using var output = new StringWriter();
        int code = PlanReport.Write(
            WorkloadCatalog.Find("digits-mlp", null),
            plans,
            interrupted: false,
            ResultFolder.Prepare(folder.File("o"), false, "x", null),
            output
        );
        Assert.Equal(0, code);
        return (
            Spaces().Replace(output.ToString(), " "),
            [.. Texts().Matches(File.ReadAllText(folder.File("o/plan.svg"))).Select(m => m.Groups[1].Value.Trim())]
        );
    }

    [Fact]
    public void Three_decades_are_labelled_at_one_two_and_five()
    {
        var (_, texts) = Write(Plan("kfac", 250), Plan("sgd", 0.2), Plan("adamw", 2));
        string[] names = ["sgd", "adamw", "kfac"];
        string[] ticks = ["0.2", "0.5", "1", "2", "5", "10", "20", "50", "100", "200", "500", "1000", "2000"];
        Assert.Equal(names, texts.Intersect(names)); // the fastest at the top
        Assert.Equal(ticks.Order(), texts.Intersect(ticks).Order());
        Assert.Contains("250 ms, 8000 B", texts);
    }

    /// <summary>All marks are inside, with room for the label of the slowest.</summary>
    [Theory, InlineData(1, 1), InlineData(0.2, 250), InlineData(1e-3, 1e5)]
    public void The_axis_has_every_mark_and_room_for_labels(double fast, double slow)
    {
        var (low, high) = PlanFigure.Limits([Plan("sgd", fast), Plan("kfac", slow)]);
        Assert.True(low < 0.9 * fast && high > 1.1 * slow);
        Assert.InRange(Math.Log(high / (1.1 * slow)) / Math.Log(high / low), 0.2, 0.65);
        Assert.True(high / low >= 10);
        Assert.InRange(Decades.Marks(low, high, 5).Count(m => m.Label is not null), 3, 15);
    }

    [Fact]
    public void Few_decades_are_labelled_at_two_and_five()
    {
        string[] Labels(double low, double high, double few) => [.. Decades.Marks(low, high, few).Select(m => m.Label).OfType<string>()];
        Assert.Equal(["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50", "100"], Labels(0.09, 110, 4));
        Assert.Equal(["0.1", "1", "10", "100"], Labels(0.09, 110, 2));
    }

    [Fact]
    public void The_table_has_the_spread_of_each_kind()
    {
        var kfac = Plan("kfac", 3) with
        {
            Kinds =
            [
                new(1, [], 0.9, 24, new(1, 1.5, 2, 2.5, 9)),
                new(10, ["A"], 0.05, 4, new(5, 6, 7, 8, 9)),
                new(20, ["B"], 0.05, 4, new(20, 22, 24, 26, 30)),
            ],
        };
        string output = Write(kfac, Plan("adamw", 1)).Output;
        Assert.Contains("│ adamw │ 8000 B │ 8 │ 1 │ 0.9-1.1 │ 1.5 │ 1 │", output, StringComparison.Ordinal);
        Assert.Contains("│ kfac │ 8000 B │ 8 │ 3 │ 2.7-3.3 │ 4.5 │ 3 │", output, StringComparison.Ordinal);
        Assert.Contains("│ without refresh │ │ │ 2 │ 1.5-2.5 │", output, StringComparison.Ordinal);
        Assert.Contains("│ every 10 steps │ │ │ 7 │ 6-8 │", output, StringComparison.Ordinal);
        Assert.Contains("│ every 20 steps │ │ │ 24 │ 22-26 │", output, StringComparison.Ordinal);
        Assert.True(output.IndexOf("adamw │", StringComparison.Ordinal) < output.IndexOf("kfac │", StringComparison.Ordinal));
    }

    [Fact]
    public void A_busy_machine_and_a_calibration_cut_short_are_reported()
    {
        const string Busy = "The machine was busy: other processes had the processors for up to 45 % of the time";
        Assert.DoesNotContain("busy", Write(Plan("sgd", 1, 0.1), Plan("adam", 1)).Output, StringComparison.Ordinal);
        var (output, _) = Write(Plan("sgd", 1, 0.45), Plan("adam", 2, 0.3) with { Steps = 7, IsPreliminary = true });
        Assert.Contains(Busy, output, StringComparison.Ordinal);
        Assert.Contains("or was stopped: adam (7 of 32 steps).", output, StringComparison.Ordinal);
        Assert.Contains("7/32", output, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"<text[^>]*>([^<]*)</text>")]
    private static partial Regex Texts();
}
